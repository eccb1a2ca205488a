import logging
import os
import warnings

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from hwnas.device import connect, onnx_agrees, onnx_difference
from hwnas.errors import ExportError
from hwnas.export import export_onnx, file_size_bytes, flat_tensors


class TwoInputs(nn.Module):
    """An integer and a float input, a nested tuple of outputs, one of them twice."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)

    def forward(self, index, x):
        y = self.embedding(index) + x
        return y, (y.flatten(1), y)


class DependsOnData(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x * 2


def convolution():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    module(torch.randn(8, 3, 8, 8))  # statistics that folding must carry over
    return module


def test_the_file_computes_what_the_module_does(tmp_path):
    module, inputs = convolution(), (torch.randn(1, 3, 8, 8),)
    path = export_onnx(module, inputs, tmp_path / "folder" / "a.onnx")
    runtime = connect("onnxruntime:cpu")
    assert onnx_difference(path, module, inputs, runtime) < 1e-5
    assert onnx_agrees(path, module, inputs, runtime)
    with torch.no_grad():
        module[0].bias += 1e-3
    assert not onnx_agrees(path, module, inputs, runtime, tolerance=1e-4)


def test_batch_norm_is_folded_and_weights_are_inside(tmp_path):
    path = export_onnx(convolution(), (torch.zeros(1, 3, 8, 8),), tmp_path / "a.onnx")
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu"]
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]
    assert file_size_bytes(path) == path.stat().st_size


def test_names_are_fixed_and_the_same_module_gives_the_same_bytes(tmp_path):
    inputs = (torch.tensor([[1, 2]]), torch.randn(1, 2, 8))
    module = TwoInputs()
    paths = [export_onnx(module, inputs, tmp_path / name) for name in ("a.onnx", "b.onnx")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    graph = onnx.load(paths[0]).graph
    assert [node.name for node in graph.input] == ["input_0", "input_1"]
    assert [node.name for node in graph.output] == ["output_0", "output_1", "output_2"]
    assert onnx_agrees(paths[0], module, inputs, connect("onnxruntime:cpu"))
    assert os.fsencode(tmp_path) not in paths[0].read_bytes()
    assert b"test_onnx_file" not in paths[0].read_bytes()


def test_keyword_inputs(tmp_path):
    inputs = {"index": torch.tensor([[1, 2]]), "x": torch.randn(1, 2, 8)}
    module = TwoInputs()
    path = export_onnx(module, inputs, tmp_path / "a.onnx")
    assert onnx_agrees(path, module, inputs, connect("onnxruntime:cpu"))


def test_a_single_tensor(tmp_path):
    path = export_onnx(nn.ReLU(), torch.zeros(1, 3), tmp_path / "a.onnx")
    assert onnx_agrees(path, nn.ReLU(), torch.randn(1, 3), connect("onnxruntime:cpu"))


def test_modes_stay_as_they_were(tmp_path):
    module = convolution().train()
    module[1].eval()
    export_onnx(module, (torch.zeros(1, 3, 8, 8),), tmp_path / "a.onnx")
    assert [one.training for one in module] == [True, False, True]


def test_exporting_is_quiet_and_changes_no_settings(tmp_path, capfd, caplog):
    filters = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export_onnx(convolution(), (torch.zeros(1, 3, 8, 8),), tmp_path / "a.onnx")
        with pytest.raises(ExportError):
            export_onnx(DependsOnData(), (torch.zeros(2),), tmp_path / "b.onnx")
    assert not caught
    assert warnings.filters == filters
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


def test_a_module_that_cannot_be_exported_is_named_and_nothing_is_written(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"kept")
    with pytest.raises(
        ExportError, match=r"'DependsOnData' cannot be exported .* shape \(2,\).*control flow"
    ) as caught:
        export_onnx(DependsOnData(), (torch.zeros(2),), path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"kept"


def test_inputs_that_the_module_does_not_take(tmp_path):
    with pytest.raises(ExportError, match="'Linear' cannot be exported"):
        export_onnx(nn.Linear(3, 4), (torch.zeros(1, 5),), tmp_path / "a.onnx")


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"cannot be written: .*give another path"):
        export_onnx(nn.ReLU(), (torch.zeros(1),), tmp_path / "file" / "a.onnx")
    with pytest.raises(ExportError, match="has no size: No such file"):
        file_size_bytes(tmp_path / "missing.onnx")


def test_flat_tensors():
    a, b = torch.zeros(1), torch.ones(1)
    assert flat_tensors((a, [b], {"x": a, "y": None}, 3)) == [a, b, a]


def test_infinite_outputs_never_agree(tmp_path):
    module, inputs = nn.ReLU(), (torch.tensor([np.inf]),)
    path = export_onnx(module, inputs, tmp_path / "a.onnx")
    assert onnx_difference(path, module, inputs, connect("onnxruntime:cpu")) == np.inf
