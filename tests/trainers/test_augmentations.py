"""What augmentations make of images."""

import pytest
import torch
from torch import Tensor

from trainers.errors import SettingError
from trainers.parts.augmentations import AUGMENTATIONS, augment, mirror, shift


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


@pytest.fixture
def generator() -> torch.Generator:
    generator = torch.Generator()
    print("generator", generator.seed())
    return generator


@pytest.mark.parametrize("names", [*AUGMENTATIONS, "flip+crop", "none+crop"])
@pytest.mark.parametrize("shape", [(9, 3, 32, 32), (9, 1, 8, 20), (1, 1, 5, 5)])
def test_augmentations_keep_shape_and_pixels(
    names: str, shape: tuple[int, ...], generator: torch.Generator
) -> None:
    images = torch.randn(shape)
    before = images.clone()
    changed = augment(images, names, generator)
    assert changed.shape == images.shape
    assert torch.equal(images, before)
    for old, new in zip(images.flatten(1), changed.flatten(1), strict=True):
        assert set(new.tolist()) <= set(old.tolist())


def test_a_mirror_is_its_own_inverse_and_swaps_left_and_right() -> None:
    images = torch.randn(4, 3, 6, 7)
    assert torch.equal(mirror(mirror(images)), images)
    assert torch.equal(mirror(images)[..., 0], images[..., -1])
    assert torch.equal(mirror(images)[:, :, 2, 3], images[:, :, 2, 3])


def test_flip_mirrors_half_of_the_images(generator: torch.Generator) -> None:
    images = torch.randn(4000, 1, 2, 3)
    changed = augment(images, "flip", generator)
    as_it_was = (changed == images).flatten(1).all(1)
    mirrored = (changed == mirror(images)).flatten(1).all(1)
    assert (as_it_was ^ mirrored).all()
    assert float(mirrored.float().mean()) == pytest.approx(0.5, abs=0.04)


def test_crop_shifts_by_up_to_an_eighth_of_each_side(generator: torch.Generator) -> None:
    rows = torch.arange(16.0)[:, None].expand(16, 24)
    across = torch.arange(24.0).expand(16, 24)
    images = torch.stack([rows, across]).expand(2000, 2, 16, 24)
    changed = augment(images, "crop", generator)
    down = 8 - changed[:, 0, 8, 12]
    right = 12 - changed[:, 1, 8, 12]
    assert set(down.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    assert set(right.tolist()) == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}
    assert len(set(zip(down.tolist(), right.tolist(), strict=True))) == 35


def test_a_shift_moves_the_image_and_repeats_its_edge() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    moved = shift(image, torch.tensor([1]), torch.tensor([-2]))
    assert moved.tolist() == [[[[2, 3, 3, 3], [2, 3, 3, 3], [6, 7, 7, 7]]]]


def test_the_generator_decides_the_draws() -> None:
    images = torch.randn(50, 3, 16, 16)

    def drawn(seed: int) -> Tensor:
        return augment(images, "flip+crop", torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_augmentation_mistakes_say_what_to_choose(generator: torch.Generator) -> None:
    with pytest.raises(SettingError, match=r"there is no 'flop'; did you mean 'flip'"):
        augment(torch.randn(2, 1, 4, 4), "crop+flop", generator)
    with pytest.raises(SettingError, match=r"needs images .* got data of shape \[2, 5\]"):
        augment(torch.randn(2, 5), "flip", generator)
    features = torch.randn(2, 5)
    assert augment(features, "none", generator) is features
