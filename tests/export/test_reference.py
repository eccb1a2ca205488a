import onnx

from hwnas.device import connect
from hwnas.export import export_reference


def test_the_reference_is_the_same_everywhere_and_runs(tmp_path):
    path = export_reference(tmp_path / "a.onnx")
    assert path.read_bytes() == export_reference(tmp_path / "b.onnx").read_bytes()
    onnx.checker.check_model(onnx.load(path))
    connect("onnxruntime:cpu").prepare(path).run()
