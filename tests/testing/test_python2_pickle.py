"""Python 3's own unpickler reads what is pickled here as Python 2 did, by the operations of the published files."""

import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.testing.python2_pickle import dumps

VALUES = st.recursive(
    st.integers(-(2**31), 2**31 - 1) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=9), inner, max_size=4),
    max_leaves=9,
)


@settings(deadline=None)
@given(VALUES)
def test_python_3_reads_the_same(value: object) -> None:
    assert pickle.loads(dumps(value), encoding="bytes") == value


def test_arrays_and_strings_as_of_python_2() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 12)
    data = dumps({b"data": array, b"labels": [3, 4]})
    for encoding in ("bytes", "latin1"):
        content = {str(key): value for key, value in pickle.loads(data, encoding=encoding).items()}
        found = content["data" if encoding == "latin1" else "b'data'"]
        np.testing.assert_array_equal(found, array)
        assert found.dtype == np.uint8
    operations = {(operation.name, argument) for operation, argument, _ in pickletools.genops(data)}
    assert ("PROTO", 2) in operations
    assert ("GLOBAL", "numpy.core.multiarray _reconstruct") in operations
    assert ("BINSTRING", "labels") in operations


@pytest.mark.parametrize("value", ["text", 1.5, None, np.zeros(3)])
def test_other_things_are_not_pickled(value: object) -> None:
    with pytest.raises(TypeError, match="Only integers, bytes, lists, dictionaries and arrays of bytes are pickled"):
        dumps(value)
