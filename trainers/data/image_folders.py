"""Folders of images, one sub-folder for each class. Needs Pillow, loaded only when images are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainers.data.arrays import samples_of
from trainers.data.samples import Array, Samples
from trainers.data.sources import Settings
from trainers.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
GREY = frozenset({"1", "L", "LA"})
COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})


def read_images(files: Sequence[Path], settings: Settings) -> Samples:
    """Samples of `folder/class/name.png`, or `folder/train/class/...` and `folder/test/class/...`.

    Every image is brought to `image_size` x `image_size`; there is one channel when all are grey, else
    three. Raises: DataError for fewer than two classes, or an image that cannot be read.
    """
    size = settings["image_size"]
    parts = _parts(files[0])
    names = tuple(parts[0])
    read = [_read_part(part, names, size) for part in parts]
    pixels = _same_channels([images for images, _ in read])
    test = (pixels[1], read[1][1]) if len(parts) == 2 else None
    if settings["task"] == "regression":
        raise DataError("data: a folder of images names classes; set task = 'auto'")
    return samples_of(pixels[0], read[0][1], test=test, task="classification", class_names=names)


def check_images(files: Sequence[Path], settings: Settings) -> None:
    """Raises: DataError when the folder has no images in two classes, or Pillow is not there."""
    _parts(files[0])
    _pillow()


def _parts(folder: Path) -> list[dict[str, list[Path]]]:
    """Class -> its images, for the training part and for the test part where there is one."""
    if not folder.is_dir():
        raise DataError(
            f"data: {folder} is of no known kind; known: a table (.csv, .tsv, .data, .parquet), arrays "
            "(.npz), a text (.txt) or a folder of images"
        )
    has_own_test = (folder / "train").is_dir() and (folder / "test").is_dir()
    parts = [_classes(folder / part) for part in (("train", "test") if has_own_test else ("",))]
    if len(parts[0]) < 2:
        raise DataError(
            f"data: {folder} needs a sub-folder of images for each of two classes at least, such as "
            f"class/name.png, but has images in: {', '.join(parts[0]) or 'none'}"
        )
    strange = sorted(set(parts[-1]) - set(parts[0]))
    if strange:
        raise DataError(
            f"data: {folder / 'test'} has the class {strange[0]!r}, which {folder / 'train'} does not "
            f"have; it has {', '.join(parts[0])}"
        )
    return parts


def _classes(folder: Path) -> dict[str, list[Path]]:
    found = {
        inside.name: sorted(path for path in inside.iterdir() if path.suffix.lower() in SUFFIXES)
        for inside in sorted(folder.iterdir())
        if inside.is_dir() and not inside.name.startswith(".")
    }
    return {name: images for name, images in found.items() if images}


def _read_part(part: dict[str, list[Path]], names: tuple[str, ...], size: int) -> tuple[list[Array], Array]:
    """The images as `[height, width]` or `[height, width, 3]` bytes, and their class ids."""
    pillow = _pillow()
    images = [_read_image(path, size, pillow) for paths in part.values() for path in paths]
    labels = [names.index(name) for name, paths in part.items() for _ in paths]
    return images, np.array(labels, dtype=np.int64)


def _read_image(path: Path, size: int, pillow: Any) -> Array:
    try:
        with pillow.open(path) as image:
            if image.mode not in GREY | COLOUR:
                raise DataError(
                    f"data: {path} is an image of mode {image.mode}; needs 8 bits for each channel"
                )
            plain = image.convert("L" if image.mode in GREY else "RGB")
            same = plain.size == (size, size)
            return np.asarray(plain if same else plain.resize((size, size)), np.uint8)
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise DataError(f"data: {path} cannot be read as an image: {error}") from error


def _same_channels(parts: list[list[Array]]) -> list[Array]:
    """`[n, channels, height, width]` of each part, with the same channels in all."""
    if all(image.ndim == 2 for images in parts for image in images):
        return [np.stack(images)[:, None] for images in parts]
    coloured = [
        [np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image for image in images]
        for images in parts
    ]
    return [np.stack(images).transpose(0, 3, 1, 2) for images in coloured]


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            "data: reading images needs Pillow, which is not installed: pip install pillow"
        ) from error
    return Image
