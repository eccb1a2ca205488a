"""Counts of plain networks against PyTorch's FlopCounterMode (which counts two for each MAC) and by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hwnas.errors import TraceError
from hwnas.nn import count


class Function(nn.Module):
    """A module of a function, with weights if it needs some."""

    def __init__(self, function: Any, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args: Tensor) -> Any:
        return self.function(self, *args)


COUNTED = {
    "conv": (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9, 9)),
    "conv1d": (nn.Conv1d(4, 6, 3, dilation=2), (2, 4, 9)),
    "conv3d": (nn.Conv3d(2, 3, 3), (1, 2, 5, 5, 5)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 5, 5)),
    "linear": (nn.Linear(5, 7), (3, 2, 5)),
    "attention": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
    "matmul": (Function(lambda _, x: x @ x.transpose(-1, -2)), (2, 3, 4, 5)),
    "einsum": (Function(lambda _, x: torch.einsum("bij,bkj->bik", x, x)), (2, 3, 4)),
    "recurrent": (nn.LSTM(3, 4, num_layers=2, bidirectional=True), (5, 2, 3)),
    "gru": (nn.GRU(3, 4, batch_first=True), (5, 2, 3)),
}


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_those_of_the_flop_counter(name: str) -> None:
    module, shape = COUNTED[name]
    meta = module.to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta.train()(torch.empty(shape, device="meta"))  # evaluation mode has a fused attention that is not counted
    counts = count(module, torch.zeros(shape))
    assert counts.macs == counter.get_total_flops() / 2
    assert counts.params == sum(parameter.numel() for parameter in module.parameters())


def test_a_published_network() -> None:
    """algorithms 1.1 and the paper's table: hardcorenas_a has 5,260,232 parameters and 224,227,936 MACs."""
    counts = count(timm.create_model("hardcorenas_a"), torch.zeros(1, 3, 224, 224))
    assert (counts.macs, counts.params) == (224_227_936, 5_260_232)


def test_what_the_flop_counter_takes_for_free() -> None:
    assert count(nn.Bilinear(3, 4, 5), (torch.zeros(2, 3), torch.zeros(2, 4))).macs == 2 * 5 * 3 * 4
    complex_fft = count(Function(lambda _, x: torch.fft.fft(x)), torch.zeros(3, 8, dtype=torch.complex64))
    assert complex_fft.macs == 3 * 5 * 8 * math.log2(8) / 2
    real_fft = count(Function(lambda _, x: torch.fft.rfft2(x)), torch.zeros(3, 8, 4))
    assert real_fft.macs == 3 * math.ceil(2.5 * 32 * math.log2(32) / 2)
    back = count(Function(lambda _, x: torch.fft.irfft(x, n=8)), torch.zeros(3, 5, dtype=torch.complex64))
    assert back.macs == 3 * 2.5 * 8 * math.log2(8) / 2
    assert count(Function(lambda _, x: torch.cdist(x, x)), torch.zeros(2, 3, 4)).macs == 2 * 3 * 3 * 4
    assert count(Function(lambda _, x: x @ x[0]), torch.zeros(3, 4)).macs == 12
    assert count(Function(lambda _, x: torch.dot(x, x)), torch.zeros(7)).macs == 7


def test_what_is_free() -> None:
    def free(_: nn.Module, x: Tensor) -> Tensor:
        x = functional.interpolate(functional.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
        x = functional.layer_norm(x, x.shape[1:]).softmax(1).cumsum(1)
        return functional.pixel_shuffle(torch.cat([x, x], 1), 2).sort(1).values.var()

    assert count(Function(free), torch.zeros(1, 2, 4, 4)).macs == 0


def test_an_unknown_operator_is_an_error_until_the_user_says_what_it_costs() -> None:
    network = nn.Sequential(nn.Linear(4, 4), Function(lambda _, x: torch.linalg.svd(x).S))
    with pytest.raises(TraceError, match=r"Module '1': Nobody knows how many .* operator 'aten::_linalg_svd' has"):
        count(network, torch.zeros(3, 4))
    assert count(network, torch.zeros(3, 4), operators={"aten::_linalg_svd": 0}).macs == 48
    formula = {"aten::_linalg_svd": lambda args, out: args[0].numel() * 10}
    assert count(network, torch.zeros(3, 4), operators=formula).macs == 48 + 120


def test_a_network_that_cannot_run_names_the_module() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.Linear(5, 2)))
    with pytest.raises(TraceError, match=r"Module '1.0' cannot run on the example inputs: RuntimeError"):
        count(network, torch.zeros(1, 3, 4, 4))


def test_control_flow_on_data_is_followed() -> None:
    def branch(module: Any, x: Tensor) -> Tensor:
        y: Tensor = module.a(x) if x.sum() > 0 else module.b(x)
        while y.abs().max().item() > 1:
            y = y / 2
        return y[y > 100]

    network = Function(branch, a=nn.Linear(4, 8), b=nn.Linear(4, 2))
    assert count(network, torch.ones(1, 4)).macs == 32
    assert count(network, -torch.ones(1, 4)).macs == 8


def peak(module: nn.Module, *inputs: Tensor) -> int:
    return count(module, inputs).peak_memory_bytes


def test_peak_memory_by_hand() -> None:
    x = torch.zeros(1, 10)  # 40 bytes
    chain = nn.Sequential(nn.Linear(10, 20), nn.Linear(20, 30), nn.Linear(30, 5))
    assert peak(chain, x) == (20 + 30) * 4
    assert peak(nn.Sequential(nn.Linear(10, 20), nn.ReLU(inplace=True)), x) == (10 + 20) * 4
    assert peak(nn.Sequential(nn.Linear(10, 20), nn.ReLU()), x) == (20 + 20) * 4
    residual = Function(lambda m, x: x + m.a(x), a=nn.Sequential(nn.Linear(10, 50), nn.Linear(50, 10)))
    assert peak(residual, x) == (10 + 50 + 10) * 4
    assert peak(Function(lambda _, x: x.view(2, 5).t()), x) == 40  # views take none
    assert peak(Function(lambda _, x: (x * 2, x * 3)), x) == 120  # outputs live to the end
    assert peak(Function(lambda _, x, y: x * 2), x, torch.zeros(100)) == 440  # an unused input is there at first
    assert peak(nn.Identity(), x) == 40


def test_a_batch_norm_in_evaluation_mode_saves_no_statistics() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))
    assert peak(network, torch.zeros(1, 3, 4, 4)) == 2 * 8 * 4 * 4 * 4  # its input and its output


def test_nothing_changes() -> None:
    network = nn.Sequential(
        nn.BatchNorm1d(4), nn.Dropout(), Function(lambda _, x: x if x.sum() > 0 else x.bernoulli_())
    )
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = -torch.ones(3, 4)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    count(network, x)
    assert torch.equal(torch.rand(2), expected)
    assert network.training
    assert torch.equal(x, -torch.ones(3, 4))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.backends.mha.get_fastpath_enabled()
