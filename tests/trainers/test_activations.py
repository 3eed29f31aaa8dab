"""Each activation against its formula, written out slowly."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trainers.parts.activations import ACTIVATIONS, Maxout, pieces

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def rectified(slope: float) -> Callable[[Array], Array]:
    return lambda x: np.where(x > 0, x, slope * x)


def exponential(x: Array, scale: float = 1.0, alpha: float = 1.0) -> Array:
    return scale * np.where(x > 0, x, alpha * (np.exp(x) - 1))


def maxout(x: Array) -> Array:
    pairs = [max(row[2 * i], row[2 * i + 1]) for row in x for i in range(x.shape[1] // 2)]
    return np.array(pairs).reshape(len(x), -1)


TWINS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "relu": rectified(0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": rectified(0.01),
    "prelu": rectified(0.25),
    "rrelu": rectified((1 / 8 + 1 / 3) / 2),
    "elu": exponential,
    "selu": lambda x: exponential(x, 1.0507009873554805, 1.6732632423543772),
    "celu": exponential,
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "maxout": maxout,
}


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_formula(name: str) -> None:
    x = 4 * torch.randn(50, 8, dtype=torch.float64)
    y = ACTIVATIONS[name]().double().eval()(x)
    np.testing.assert_allclose(y.detach().numpy(), TWINS[name](x.numpy()), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_leaves_its_input_alone(name: str) -> None:
    x = torch.randn(5, 8)
    before = x.clone()
    ACTIVATIONS[name]()(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(5, 12), (5, 7, 12), (5, 12, 3, 4)])
def test_an_activation_takes_as_many_features_as_it_says(name: str, shape: tuple[int, ...]) -> None:
    given = list(ACTIVATIONS[name]()(torch.randn(shape)).shape)
    features = 1 if len(shape) == 4 else len(shape) - 1
    expected = list(shape)
    expected[features] //= pieces(name)
    assert given == expected


def test_rrelu_is_random_in_training_only() -> None:
    rrelu = ACTIVATIONS["rrelu"]()
    x = -torch.ones(1000)
    slopes = -rrelu(x)
    assert 1 / 8 <= slopes.min() < slopes.max() <= 1 / 3
    assert torch.equal(rrelu.eval()(x), rrelu.eval()(x))
    assert len(rrelu.eval()(x).unique()) == 1


@pytest.mark.parametrize("count", [2, 3, 5])
def test_maxout_pools_neighbouring_features_of_every_shape(count: int) -> None:
    images = torch.randn(2, 4 * count, 3, 5)
    pooled = Maxout(count)(images)
    for sample, channel, row, column in np.ndindex(2, 4, 3, 5):
        group = images[sample, channel * count : (channel + 1) * count, row, column]
        assert pooled[sample, channel, row, column] == max(group.tolist())

    places = torch.randn(2, 3, 4 * count)
    pooled = Maxout(count)(places)
    for sample, time, feature in np.ndindex(2, 3, 4):
        group = places[sample, time, feature * count : (feature + 1) * count]
        assert pooled[sample, time, feature] == max(group.tolist())


def test_maxout_sends_the_gradient_to_the_larger_feature() -> None:
    x = torch.randn(30, 6, requires_grad=True)
    Maxout()(x).sum().backward()
    pairs = x.detach().reshape(30, 3, 2)
    expected = (pairs == pairs.amax(2, keepdim=True)).float().flatten(1)
    assert x.grad is not None
    assert torch.equal(x.grad, expected)
