"""What must hold for any network of any family: three ways to count it, three ways to run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hwnas.export import export_onnx
from hwnas.nn import ModelSpace, count
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.space import Option

__all__ = ["assert_counts_agree", "assert_file_agrees", "assert_frozen_agrees", "assert_trains"]


def assert_counts_agree(space: ModelSpace, architecture: Mapping[str, Option]) -> None:
    """The profilers' tables, our count of the frozen network, and PyTorch's FlopCounterMode (which counts double)."""
    frozen = space.freeze(architecture).eval()
    counted = count(frozen, space.example_inputs)
    assert FlopsProfiler(space).profile(architecture) == counted.macs
    assert NumParamsProfiler(space).profile(architecture) == counted.params
    assert counted.params == sum(parameter.numel() for parameter in frozen.parameters())
    with FlopCounterMode(display=False) as counter:
        frozen(*space.example_inputs)
    assert counter.get_total_flops() == 2 * counted.macs


def assert_frozen_agrees(space: ModelSpace, architecture: Mapping[str, Option]) -> None:
    """The supernet under an architecture, and the frozen network; which owns its weights."""
    frozen = space.freeze(architecture)
    x = torch.randn(2, *space.example_inputs[0].shape[1:], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = space(x, architecture)
        torch.testing.assert_close(frozen(x), before, rtol=1e-5, atol=1e-5)
        for parameter in frozen.parameters():
            parameter.zero_()
        torch.testing.assert_close(space(x, architecture), before, rtol=0, atol=0)


def assert_file_agrees(space: ModelSpace, architecture: Mapping[str, Option], folder: Path) -> None:
    """The frozen network, and ONNX Runtime on the file exported from it."""
    frozen = space.freeze(architecture).eval()
    path = export_onnx(frozen, space.example_inputs, folder / "net.onnx")
    x = torch.randn(space.example_inputs[0].shape, generator=torch.Generator().manual_seed(1))
    (given,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input_0": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(given, frozen(x).numpy(), rtol=1e-4, atol=1e-4)


def assert_trains(space: ModelSpace, architecture: Mapping[str, Option]) -> None:
    """A few steps on one batch lower its loss, and leave alone what the architecture does not run."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(8, *space.example_inputs[0].shape[1:], generator=generator)
    labels = torch.arange(8)
    space.train()
    optimizer = torch.optim.SGD(space.parameters(), lr=0.05, momentum=0.9)
    before = {name: parameter.detach().clone() for name, parameter in space.named_parameters()}
    losses = []
    for _ in range(5):
        loss = functional.cross_entropy(space(x, architecture), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    reached = {name for name, parameter in space.named_parameters() if parameter.grad is not None}
    assert reached
    assert len(reached) < len(before)
    for name, parameter in space.named_parameters():
        assert torch.equal(parameter, before[name]) == (name not in reached), name
