import pytest

from hwnas.device import connect, known_devices, register_runtime, registry
from hwnas.errors import BadInputError, MissingExtraError
from hwnas.testing import FakeRuntime


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_FACTORIES", dict(registry._FACTORIES))


def test_onnxruntime_is_known():
    assert connect("onnxruntime:cpu", threads=1, batch_size=2).fingerprint.batch_size == 2


def test_an_unknown_device_lists_the_known():
    with pytest.raises(BadInputError, match=r"Unknown device 'abacus'. Known are: onnxruntime:cpu.*register_runtime"):
        connect("abacus")


def test_a_registered_runtime_is_connected():
    register_runtime("fake:fake", lambda threads, batch_size: FakeRuntime(batch_size=batch_size))
    assert connect("fake:fake", batch_size=3).fingerprint.batch_size == 3
    assert known_devices() == ("fake:fake", "onnxruntime:cpu")
    with pytest.raises(BadInputError, match="'fake:fake' is known already"):
        register_runtime("fake:fake", lambda threads, batch_size: FakeRuntime())


def test_a_missing_package_names_what_to_install():
    def factory(threads, batch_size):
        import a_package_that_does_not_exist  # noqa: F401

    register_runtime("npu", factory, extra="hwnas[npu]")
    with pytest.raises(MissingExtraError, match=r"needs a package that is not installed.*pip install hwnas\[npu\]"):
        connect("npu")
