"""The IDX reader, on files written here and on damaged ones."""

import gzip
import struct

import numpy as np
import pytest

from hwnas.data.idx import read_idx
from hwnas.errors import DataError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
FILE = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 3, 4) + IMAGES.tobytes()
# Without the time of day in its header: the bytes are part of the names of the tests below,
# which the processes that share the tests must agree on.
PACKED = gzip.compress(FILE, mtime=0)


@pytest.mark.parametrize("data", [FILE, PACKED], ids=["plain", "gzip"])
def test_reads_what_was_written(tmp_path, data):
    path = tmp_path / "images"
    path.write_bytes(data)
    np.testing.assert_array_equal(read_idx(path, num_dimensions=3), IMAGES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x00\x00\x09\x03" + FILE[4:], "begin with 00000803; it begins with 00000903"),
        (struct.pack(">BBBB", 0, 0, 8, 1) + FILE[4:], "begins with 00000801"),
        (FILE[:9], "ends within its header"),
        (FILE[:-1], "declares 2 x 3 x 4 = 24 elements but holds 23"),
        (FILE + b"x", "but holds 25"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, *[2**32 - 1] * 3), "elements but holds 0"),
        (PACKED[:20], "cannot be read"),
        (PACKED[:-6] + b"wrong!", "cannot be read"),
    ],
)
def test_refuses_damaged_files(tmp_path, data, message):
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_idx(path, num_dimensions=3)


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "nothing", num_dimensions=3)
