"""What each norm leaves, and what it does when there is nothing to measure."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainers.parts.norms import EPSILON, NORMS

FEATURES, GROUPS = 12, 4
SHAPES = {"features": (32, FEATURES), "places": (16, 9, FEATURES), "image": (16, FEATURES, 5, 6)}

# the dimensions over which a norm leaves mean 0 and variance 1
AXES = {
    ("batch", "features"): (0,),
    ("batch", "places"): (0, 1),
    ("batch", "image"): (0, 2, 3),
    ("layer", "features"): (1,),
    ("layer", "places"): (2,),
    ("layer", "image"): (1, 2, 3),
    ("instance", "image"): (2, 3),
}


FITTING = [
    (name, kind) for name, norm in NORMS.items() for kind in (SHAPES if not norm.spatial else ["image"])
]


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


def far_off(shape: tuple[int, ...]) -> Tensor:
    """Random features, each with a mean and a spread of its own."""
    scale = torch.rand(shape[1:]) + 0.5
    return 7.0 + 3.0 * torch.randn(shape[1:]) + scale * torch.randn(shape)


@pytest.mark.parametrize(("name", "kind"), AXES)
def test_a_norm_leaves_mean_zero_and_variance_one(name: str, kind: str) -> None:
    y = NORMS[name].make(FEATURES, GROUPS)(far_off(SHAPES[kind]))
    variance, mean = torch.var_mean(y, AXES[name, kind], correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", SHAPES)
def test_group_norm_leaves_mean_zero_and_variance_one_in_each_group(kind: str) -> None:
    x = far_off(SHAPES[kind]).double()
    y = NORMS["group"].make(FEATURES, GROUPS).double()(x)

    def by_group(features: Tensor) -> Tensor:
        samples = features if kind == "image" else features.flatten(0, -2)
        return samples.reshape(len(samples), GROUPS, -1)

    variance, mean = torch.var_mean(by_group(y), 2, correction=0)
    spread = by_group(x).var(2, correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-6, rtol=0)
    torch.testing.assert_close(variance, spread / (spread + EPSILON), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", SHAPES)
def test_rms_norm_leaves_mean_square_one_and_the_direction(kind: str) -> None:
    x = far_off(SHAPES[kind])
    y = NORMS["rms"].make(FEATURES, GROUPS)(x)
    features = 1 if kind == "image" else -1
    squares = y.square().mean(features)
    torch.testing.assert_close(squares, torch.ones_like(squares), atol=1e-4, rtol=0)
    ratios = y / x
    first = ratios.narrow(features, 0, 1)
    torch.testing.assert_close(ratios, first.expand_as(ratios), atol=1e-5, rtol=1e-4)


def test_local_response_is_the_formula_of_the_paper() -> None:
    x = 30 * torch.randn(2, 7, 3, 3, dtype=torch.float64)
    y = NORMS["local_response"].make(7, GROUPS)(x)
    for sample, channel, row, column in np.ndindex(2, 7, 3, 3):
        near = range(max(0, channel - 2), min(7, channel + 3))
        squares = sum(float(x[sample, c, row, column]) ** 2 for c in near)
        expected = float(x[sample, channel, row, column]) / (2 + 1e-4 * squares) ** 0.75
        assert float(y[sample, channel, row, column]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("features", "groups", "taken"),
    [(12, 4, 4), (12, 8, 6), (64, 8, 8), (30, 8, 6), (7, 8, 1), (8, 8, 4), (2, 8, 1), (1, 8, 1)],
)
def test_group_norm_takes_the_most_groups_that_fit(features: int, groups: int, taken: int) -> None:
    norm = NORMS["group"].make(features, groups)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == taken


@pytest.mark.parametrize(("name", "kind"), FITTING)
@pytest.mark.parametrize("batch", [1, 2, 16])
def test_a_norm_keeps_the_shape_and_lets_gradients_through(name: str, kind: str, batch: int) -> None:
    norm = NORMS[name].make(FEATURES, GROUPS)
    x = far_off((batch, *SHAPES[kind][1:])).requires_grad_()
    y = norm(x)
    (y * torch.randn_like(y)).sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(1, FEATURES), (1, 1, FEATURES), (1, FEATURES, 1, 1)])
def test_batch_norm_of_one_value_uses_the_running_statistics(shape: tuple[int, ...]) -> None:
    norm = NORMS["batch"].make(FEATURES, GROUPS)
    assert isinstance(norm, nn.BatchNorm2d)
    for _ in range(20):
        norm(far_off((64, FEATURES)))
    before = {name: value.clone() for name, value in norm.state_dict().items()}

    x = torch.randn(shape)
    alone = norm(x)

    after = norm.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(alone, norm.eval()(x))
    assert alone.flatten().unique().numel() > 1, "the sample must be seen"


def test_batch_norm_evaluates_with_running_statistics() -> None:
    norm = NORMS["batch"].make(FEATURES, GROUPS)
    x = far_off((5000, FEATURES))
    for _ in range(100):
        norm(x)
    torch.testing.assert_close(norm(x), norm.eval()(x), atol=1e-3, rtol=1e-3)


def test_instance_norm_lets_a_single_pixel_through() -> None:
    x = torch.randn(4, FEATURES, 1, 1)
    assert torch.equal(NORMS["instance"].make(FEATURES, GROUPS)(x), x)


@pytest.mark.parametrize("name", ["batch", "layer", "group", "instance", "rms"])
def test_a_norm_learns_one_scale_per_feature(name: str) -> None:
    norm = NORMS[name].make(FEATURES, GROUPS)
    x = far_off(SHAPES["image"])
    before = norm(x)
    with torch.no_grad():
        norm.get_parameter("weight")[3] = 5.0
    expected = before.detach().clone()
    expected[:, 3] *= 5.0
    torch.testing.assert_close(norm(x), expected)


def test_no_norm_changes_nothing() -> None:
    x = torch.randn(3, FEATURES)
    assert torch.equal(NORMS["none"].make(FEATURES, GROUPS)(x), x)
