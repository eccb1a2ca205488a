import json
import subprocess
import sys

import pytest

from hwnas.errors import ArchitectureError
from hwnas.space import Architecture


def test_a_mapping_equal_in_any_order():
    one, two = Architecture({"a": 1, "b": (2, 3)}), Architecture({"b": [2, 3], "a": 1})
    assert one == two == {"a": 1, "b": (2, 3)}
    assert hash(one) == hash(two)
    assert one.uid == two.uid
    assert dict(one) == {"a": 1, "b": (2, 3)}
    assert len(one) == 2
    assert one != Architecture({"a": 1})
    assert repr(one) == "Architecture({'a': 1, 'b': (2, 3)})"


def test_immutable():
    with pytest.raises(TypeError, match="does not support item assignment"):
        Architecture({"a": 1})["a"] = 2


def test_json_round_trip():
    architecture = Architecture({"a": 1, "b": (2, 3), "c": "x", "d": True, "e": 0.5})
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


def test_uid_is_the_same_in_another_process():
    program = "from hwnas.space import Architecture; print(Architecture({'b': (2, 3), 'a': 'ü'}).uid)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == Architecture({"a": "ü", "b": (2, 3)}).uid


@pytest.mark.parametrize("value", [None, [], "a", 3])
def test_not_a_mapping(value):
    with pytest.raises(ArchitectureError, match="must be a mapping from choices to options; got"):
        Architecture.from_json(value)


@pytest.mark.parametrize("value", [{"a": None}, {"a": {}}, {1: 1}, {"a": float("nan")}])
def test_not_options(value):
    with pytest.raises(ArchitectureError, match="must map names to strings, finite numbers, bools or tuples of ints"):
        Architecture(value)
