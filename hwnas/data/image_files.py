"""Image files on disk: reading one, and a hash that identifies a list of them without reading them all."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from hwnas.errors import ConfigError, DataError

__all__ = ["listing_sha256", "read_image", "require_reading"]


def read_image(path: str | Path) -> Image.Image:
    """Read an image file, in any format and mode that Pillow knows, as RGB.

    Raises:
        DataError: a file that is missing, empty, damaged or no image; the message names it.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (EOFError, OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f"The image {path} cannot be read ({error}). Replace the file or remove it.") from error


def listing_sha256(paths: Iterable[str | Path], folder: Path) -> str:
    """SHA-256 over the relative paths and the sizes in bytes of all files (reading them all would take too long).

    Raises:
        DataError: a file that is not there, such as a link to nowhere.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            size_bytes = Path(path).stat().st_size
        except OSError as error:
            raise DataError(f"The file {path} is not there ({error.strerror}). Put it there, or remove it.") from error
        digest.update(f"{Path(path).relative_to(folder)} {size_bytes}\n".encode())
    return digest.hexdigest()


def require_reading(*, image_size: int, num_workers: int) -> None:
    """Raise unless images can be brought to this size, in pixels, by so many processes.

    Raises:
        ConfigError: a size below 1, or a negative number of processes.
    """
    for name, value, least in (("image_size", image_size, 1), ("num_workers", num_workers, 0)):
        if value < least:
            raise ConfigError(f"`{name}` must be at least {least}; got {value}.")
