"""What scalings make of the inputs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from trainers.parts.scalings import SCALINGS

SHAPES = {"features": (200, 7), "images": (60, 3, 5, 6)}


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


def far_off(shape: tuple[int, ...]) -> Tensor:
    """Features (or channels) of which each has a mean and a spread of its own, over six decades."""
    per_feature = (shape[1], *[1] * (len(shape) - 2))
    scale = 10.0 ** (6 * torch.rand(per_feature) - 3)
    return scale * (torch.randn(shape) + 5 * torch.randn(per_feature))


def columns(x: Tensor) -> list[np.ndarray]:
    """The values of each feature, or of each channel."""
    return [x[:, i].double().flatten().numpy() for i in range(x.shape[1])]


TWINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda x: x,
    "standardize": lambda x: (x - x.mean()) / x.std(),
    "minmax": lambda x: (x - x.min()) / (x.max() - x.min()),
    "tanh": lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1,
}


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("kind", SHAPES)
def test_a_scaling_is_its_formula(name: str, kind: str) -> None:
    x = far_off(SHAPES[kind])
    scaled = SCALINGS[name](x)(x)
    assert scaled.shape == x.shape
    for given, original in zip(columns(scaled), columns(x), strict=True):
        np.testing.assert_allclose(given, TWINS[name](original), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e-38, 1e30, 16_777_217.0])
def test_a_constant_feature_gives_no_nan(name: str, value: float) -> None:
    x = torch.randn(1000, 3)
    x[:, 1] = value
    scale = SCALINGS[name](x)
    assert torch.isfinite(scale(x)).all()
    later = scale(torch.full((1, 3), value + 1.0))
    assert torch.isfinite(later).all()
    if name != "none":
        assert scale(x)[:, 1].abs().max() <= 1e-5 * max(1.0, abs(value))


@pytest.mark.parametrize("name", ["standardize", "minmax", "tanh"])
@pytest.mark.parametrize("value", [1.0, -3e4, 1e-20])
def test_rounding_is_not_blown_up_to_a_feature(name: str, value: float) -> None:
    x = torch.full((1000, 1), value)
    x[::2] = torch.nextafter(x[::2], torch.tensor(torch.inf))
    assert SCALINGS[name](x)(x).abs().max() <= 1e-5 * abs(value)


@pytest.mark.parametrize("name", SCALINGS)
def test_what_training_data_fit_is_used_on_other_data(name: str) -> None:
    x, other = far_off((100, 4)), far_off((30, 4))
    scale = SCALINGS[name](x)
    together = scale(torch.cat([x, other]))
    torch.testing.assert_close(scale(other), together[100:])
    torch.testing.assert_close(scale(x), together[:100])


def test_one_sample_is_enough() -> None:
    for fit in SCALINGS.values():
        x = torch.randn(1, 5)
        assert torch.isfinite(fit(x)(x)).all()


def test_no_scaling_keeps_whole_numbers_whole() -> None:
    tokens = torch.randint(50, (4, 9))
    assert torch.equal(SCALINGS["none"](tokens)(tokens), tokens)
    assert SCALINGS["none"](tokens)(tokens).dtype == tokens.dtype
