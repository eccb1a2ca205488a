"""Whether an exported file computes what the module does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.device.runtime import Runtime
from hwnas.export import ExampleInputs, evaluating, flat_tensors

__all__ = ["onnx_agrees", "onnx_difference"]


def onnx_difference(path: str | os.PathLike[str], module: nn.Module, inputs: ExampleInputs, runtime: Runtime) -> float:
    """The largest absolute difference between the file's and the module's outputs; inf where a number is not finite.

    Args:
        path: the ONNX file.
        module: what it was exported from; run in eval mode and left as it was.
        inputs: of the shapes with which it was exported.
        runtime: runs the file.
    """
    with evaluating(module), torch.no_grad():
        expected = [tensor.cpu().numpy() for tensor in flat_tensors(_called(module, inputs))]
    outputs = runtime.prepare(Path(path)).outputs([tensor.cpu().numpy() for tensor in flat_tensors(inputs)])
    with np.errstate(invalid="ignore"):  # inf - inf
        differences = [
            float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))
            for a, b in zip(expected, outputs, strict=True)
        ]
    return max((value if np.isfinite(value) else float("inf") for value in differences), default=0.0)


def onnx_agrees(
    path: str | os.PathLike[str],
    module: nn.Module,
    inputs: ExampleInputs,
    runtime: Runtime,
    *,
    tolerance: float = 1e-4,
) -> bool:
    """Whether no output differs by more than `tolerance`; see `onnx_difference`."""
    return onnx_difference(path, module, inputs, runtime) <= tolerance


def _called(module: nn.Module, inputs: ExampleInputs) -> object:
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(inputs) if isinstance(inputs, Tensor) else module(*inputs)
