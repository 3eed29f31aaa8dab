"""IDX files, the format of the MNIST family: big-endian arrays, usually packed with gzip.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", file formats.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainers.data.arrays import samples_of
from trainers.data.samples import Array, Samples
from trainers.data.sources import Settings
from trainers.errors import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> Array:
    """The array of one IDX file, packed or not.

    Raises: DataError for a packing that is cut off or damaged, a wrong magic number or a wrong size.
    """
    content = _unpacked(path)
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise DataError(
            f"data: {path} is no IDX file: it starts with {magic.hex(' ') or 'nothing'}; an IDX file "
            "starts with 00 00, a type (08 for bytes) and the number of dimensions"
        )
    dtype, start = np.dtype(TYPES[magic[2]]), 4 + 4 * magic[3]
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise DataError(
            f"data: {path} announces an array of shape {tuple(shape)}, which takes {expected} bytes, "
            f"but holds {len(content)}; fetch it again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def read_idx_set(files: Sequence[Path], settings: Settings, class_names: tuple[str, ...] = ()) -> Samples:
    """Samples of four IDX files: training images and labels, test images and labels."""
    train_x, train_y, test_x, test_y = (read_idx(path) for path in files)
    return samples_of(train_x, train_y, test=(test_x, test_y), task=settings["task"], class_names=class_names)


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"data: {path} is cut off or damaged: {error}; fetch it again") from error
