"""Augmentations by name: random changes of training images that leave their label as it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainers.choices import pick
from trainers.errors import SettingError

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Changes images `[batch, channels, height, width]`, each by its own draw; keeps their shape."""

CROP = 8  # a crop shifts by at most a side over this


def none(images: Tensor, _: torch.Generator) -> Tensor:
    """The images as they are."""
    return images


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors every second image, by chance, left to right."""
    mirrored = _draw(2, images, generator).bool()
    return torch.where(mirrored[:, None, None, None], mirror(images), images)


def crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shifts each image by up to an eighth of its sides; the pixels of the edge fill the gap."""
    height, width = images.shape[2:]
    down = _draw(2 * (height // CROP) + 1, images, generator) - height // CROP
    right = _draw(2 * (width // CROP) + 1, images, generator) - width // CROP
    return shift(images, down, right)


def mirror(images: Tensor) -> Tensor:
    """The images seen in a mirror: left becomes right."""
    return images.flip(3)


def shift(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each image moved by its own whole pixels, `down` and `right` both `[batch]`."""
    count, _, height, width = images.shape
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)
    samples = torch.arange(count, device=images.device)[:, None, None]
    moved = images.movedim(1, -1)[samples, rows[:, :, None], columns[:, None, :]]
    return moved.movedim(-1, 1)


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": none,
    "flip": flip,
    "crop": crop,
}


def augment(images: Tensor, names: str, generator: torch.Generator) -> Tensor:
    """The images changed by each of `names`, joined with "+", in turn.

    Draws are made on the generator's device.

    Raises: SettingError for an unknown name, or when there are no images to change.
    """
    for name in names.split("+"):
        change = pick(AUGMENTATIONS, name, "augmentation")
        if change is not none and images.ndim != 4:
            raise SettingError(
                {
                    "augmentation": f"{name!r} needs images [batch, channels, height, width], but "
                    f"got data of shape {list(images.shape)}; for such data choose 'none'"
                }
            )
        images = change(images, generator)
    return images


def _draw(outcomes: int, images: Tensor, generator: torch.Generator) -> Tensor:
    """One whole number below `outcomes` for each image, `[batch]`."""
    numbers = torch.randint(outcomes, (len(images),), generator=generator, device=generator.device)
    return numbers.to(images.device)
