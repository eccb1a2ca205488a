from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from hwnas.device import connect, onnx_agrees
from hwnas.errors import ExportError
from hwnas.export import blocks, export_blocks
from tests.export.test_onnx_file import DependsOnData, TwoInputs


class Pass(nn.Module):
    def forward(self, x, y):
        return x


class Constant(nn.Module):
    def forward(self, x):
        zeros = torch.zeros_like(x)
        return zeros, zeros @ torch.relu(x)


def items():
    torch.manual_seed(0)
    return [
        ("conv", nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardswish()), (torch.randn(2, 3, 6, 6),)),
        ("two", TwoInputs(), (torch.tensor([[1, 2]]), torch.randn(1, 2, 8))),
        ("pass", Pass(), (torch.randn(1, 3), torch.randn(2))),
        ("linear", nn.Linear(5, 6), (torch.randn(1, 5),)),
    ]


def test_every_block_of_a_group_has_its_file(tmp_path):
    told = []
    paths = export_blocks(items(), tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 4)]
    for path in paths:
        onnx.checker.check_model(onnx.load(path))
    shapes = [[d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim] for path in paths]
    assert shapes == [[2, 3, 6, 6], [1, 2], [1, 3], [1, 5]]
    assert [len(onnx.load(path).graph.output) for path in paths] == [1, 3, 1, 1]


def test_split_blocks_compute_what_the_modules_do(tmp_path):
    made = items()
    runtime = connect("onnxruntime:cpu")
    for path, (_, module, inputs) in zip(export_blocks(made, tmp_path)[:2], made, strict=False):
        assert onnx_agrees(path, module, inputs, runtime, tolerance=1e-5)


def test_a_block_may_give_a_constant(tmp_path):
    """As the sum of a subset does that is empty: skips of which none is taken."""
    made = [("zeros", Constant(), (torch.randn(3, 3),)), *items()[2:]]
    path, *_ = export_blocks(made, tmp_path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert onnx_agrees(path, made[0][1], made[0][2], connect("onnxruntime:cpu"), tolerance=0.0)


def test_what_was_exported_is_kept(tmp_path):
    made = items()
    first = export_blocks(made[:2], tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first}
    told = []
    assert export_blocks(made, tmp_path, progress=lambda *step: told.append(step))[:2] == first
    assert told == [(4, 4)]
    assert {path: path.stat().st_mtime_ns for path in first} == before


def test_equal_keys_share_a_file_unless_their_shapes_differ(tmp_path):
    linear = nn.Linear(5, 6)
    paths = export_blocks([("a", linear, (torch.zeros(n, 5),)) for n in (1, 1, 2)], tmp_path)
    assert paths[0] == paths[1] != paths[2]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_block_that_cannot_be_exported_is_named(tmp_path):
    made = [*items()[3:], ("0123456789abcdef", DependsOnData(), (torch.zeros(2),))]
    with pytest.raises(ExportError, match=r"'DependsOnData \(block 0123456789ab\)' cannot be exported"):
        export_blocks(made, tmp_path)


def test_weights_that_would_change_the_time_become_zero(tmp_path):
    linear = nn.Linear(3, 1)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[float("nan"), 1e-42, 0.5]]))
    (path,) = export_blocks([("a", linear, (torch.zeros(1, 3),))], tmp_path)
    (weight,) = [w for w in onnx.load(path).graph.initializer if w.dims == [1, 3] or w.dims == [3, 1]]
    np.testing.assert_array_equal(numpy_helper.to_array(weight).ravel(), np.float32([0, 0, 0.5]))


def test_groups_are_bounded_in_number_and_size(monkeypatch):
    missing = [(Path(f"{index}"), item) for index, item in enumerate(items())]
    monkeypatch.setattr(blocks, "_GROUP_SIZE", 3)
    assert [len(group) for group in blocks._groups(missing)] == [3, 1]
    monkeypatch.setattr(blocks, "_GROUP_BYTES", 500)  # the blocks have 464, 320, 0 and 144 bytes
    assert [len(group) for group in blocks._groups(missing)] == [1, 3]
