"""Pickles as Python 2 wrote them, in which a string is bytes: those that CIFAR-10 was published with.

Python 3 cannot write them itself: its bytes are pickled as a call of a function. The operations are those of protocol 2
(PEP 307, and the comments in Python's pickletools), without its memory of repeated objects.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

import numpy as np

__all__ = ["dumps"]


def dumps(value: Any) -> bytes:
    """Pickle integers, byte strings, lists and dictionaries of them, and arrays of unsigned bytes.

    Raises:
        TypeError: for anything else.
    """
    return pickle.PROTO + b"\x02" + _pickled(value) + pickle.STOP


def _pickled(value: Any) -> bytes:
    match value:
        case int():
            return pickle.BININT + struct.pack("<i", value)
        case bytes():
            return pickle.BINSTRING + struct.pack("<i", len(value)) + value
        case list():
            return pickle.EMPTY_LIST + pickle.MARK + b"".join(map(_pickled, value)) + pickle.APPENDS
        case dict():
            items = (_pickled(key) + _pickled(item) for key, item in value.items())
            return pickle.EMPTY_DICT + pickle.MARK + b"".join(items) + pickle.SETITEMS
        case np.ndarray() if value.dtype == np.uint8:
            return _array(value)
    raise TypeError(f"Only integers, bytes, lists, dictionaries and arrays of bytes are pickled; got {type(value)}.")


def _array(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """An array as numpy pickles it: an empty one, then its state (version, shape, dtype, Fortran order, bytes)."""
    empty = _call(
        b"numpy.core.multiarray\n_reconstruct", _global(b"numpy\nndarray"), _tuple(_pickled(0)), _pickled(b"b")
    )
    dtype = _call(b"numpy\ndtype", _pickled(b"u1"), _pickled(0), _pickled(1))
    dtype_state = _tuple(_pickled(3), _pickled(b"|"), *[pickle.NONE] * 3, _pickled(-1), _pickled(-1), _pickled(0))
    shape = _tuple(*map(_pickled, array.shape))
    state = _tuple(_pickled(1), shape, dtype + dtype_state + pickle.BUILD, pickle.NEWFALSE, _pickled(array.tobytes()))
    return empty + state + pickle.BUILD


def _tuple(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def _global(name: bytes) -> bytes:
    return pickle.GLOBAL + name + b"\n"


def _call(function: bytes, *arguments: bytes) -> bytes:
    return _global(function) + _tuple(*arguments) + pickle.REDUCE
