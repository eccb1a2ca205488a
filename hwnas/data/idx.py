"""Reading IDX files, the format of MNIST and its relatives.

Two zero bytes, a byte for the element type, a byte for the number of dimensions, the dimensions as big-endian 32-bit
integers, then the elements. Source: Y. LeCun, C. Cortes, "The MNIST database", http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.errors import DataError

__all__ = ["read_idx"]

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, *, num_dimensions: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed with gzip or not.

    Args:
        path: the file; whether it is compressed is seen from its first bytes, not from its name.
        num_dimensions: how many dimensions it must have (images 3, labels 1).

    Returns:
        An array of that many dimensions.

    Raises:
        DataError: for a file that cannot be read, with another magic number, or of another length than it declares.
    """
    data = _read(path)
    header_bytes = 4 + 4 * num_dimensions
    magic = struct.pack(">BBBB", 0, 0, _UNSIGNED_BYTE, num_dimensions)
    if data[:4] != magic:
        raise DataError(
            f"{path} must be an IDX file of unsigned bytes with {num_dimensions} dimension(s), that is begin with "
            f"{magic.hex()}; it begins with {data[:4].hex() or 'nothing'}. Fetch the file again."
        )
    if len(data) < header_bytes:
        raise DataError(f"{path} ends within its header ({len(data)} of {header_bytes} bytes). Fetch the file again.")
    shape = struct.unpack(f">{num_dimensions}I", data[4:header_bytes])
    declared = int(np.prod(shape, dtype=object))
    if len(data) - header_bytes != declared:
        raise DataError(
            f"{path} declares {' x '.join(map(str, shape))} = {declared} elements but holds "
            f"{len(data) - header_bytes}. Fetch the file again."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header_bytes).reshape(shape)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}). Fetch the file again.") from error
