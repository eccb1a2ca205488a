import hashlib
import pathlib

import numpy as np
import pytest
from PIL import Image

from hwnas.data.image_files import listing_sha256, read_image, require_reading
from hwnas.errors import ConfigError, DataError


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(tmp_path: pathlib.Path, mode: str) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new(mode, (3, 2)).save(path)
    image = read_image(path)
    assert (image.mode, image.size) == ("RGB", (3, 2))


@pytest.mark.filterwarnings("ignore:.*(Truncated|Corrupt)")  # Pillow's, of the same files
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif"])
def test_a_file_cut_anywhere_is_read_or_refused_by_name(tmp_path: pathlib.Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    whole, refused = path.read_bytes(), 0
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        try:
            read_image(path)
        except DataError as error:
            assert str(error).startswith(f"The image {path} cannot be read (")  # noqa: PT017
            refused += 1
    assert refused > 0.5 * len(range(0, len(whole), 7))


def test_a_missing_image(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match=r"none\.png cannot be read .*No such file.* Replace the file or remove it"):
        read_image(tmp_path / "none.png")


def test_a_listing_is_paths_and_sizes(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sub").mkdir()
    paths = [tmp_path / "sub" / "b", tmp_path / "a"]
    paths[0].write_bytes(b"12")
    paths[1].write_bytes(b"")
    assert listing_sha256(paths, tmp_path) == hashlib.sha256(b"sub/b 2\na 0\n").hexdigest()


def test_a_listing_with_a_file_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        DataError, match=r"none is not there \(No such file or directory\)\. Put it there, or remove it"
    ):
        listing_sha256([tmp_path / "none"], tmp_path)


@pytest.mark.parametrize(
    ("size", "workers", "message"),
    [(0, 0, "`image_size` must be at least 1; got 0"), (1, -1, "`num_workers` must be at least 0; got -1")],
)
def test_sizes_and_workers_that_cannot_be(size: int, workers: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_reading(image_size=size, num_workers=workers)
