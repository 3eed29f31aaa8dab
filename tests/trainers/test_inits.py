"""The spread each initialisation promises, and what is left alone."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainers.config import TrialConfig
from trainers.parts.inits import INITS, initialize

STD, SCALE = 0.037, 1.7

# name -> the promised standard deviation, from inputs and outputs of a weight
PROMISED: dict[str, Callable[[int, int], float]] = {
    "normal": lambda n_in, n_out: STD,
    "truncated_normal": lambda n_in, n_out: STD,
    "uniform": lambda n_in, n_out: STD,
    "xavier_uniform": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "xavier_normal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "kaiming_uniform": lambda n_in, n_out: math.sqrt(2 / n_in),
    "kaiming_normal": lambda n_in, n_out: math.sqrt(2 / n_in),
    "lecun_normal": lambda n_in, n_out: math.sqrt(1 / n_in),
    "variance_scaling": lambda n_in, n_out: math.sqrt(SCALE / n_in),
}

# layer, its weights, inputs of an output, outputs of an input
LAYERS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "linear": (lambda: nn.Linear(400, 150), 400, 150),
    "convolution": (lambda: nn.Conv2d(40, 90, (3, 5)), 40 * 15, 90 * 15),
    "convolution in time": (lambda: nn.Conv1d(80, 120, 5), 80 * 5, 120 * 5),
}


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


def configured(init: str, **settings: Any) -> TrialConfig:
    return TrialConfig(init=init, init_std=STD, init_scale=SCALE, **settings)


def weight_of(layer: nn.Module) -> Tensor:
    return layer.get_parameter("weight").detach()


def assert_spread(weight: Tensor, std: float) -> None:
    """Mean zero and this standard deviation, within five standard errors of a normal's."""
    n = weight.numel()
    assert abs(float(weight.mean())) < 5 * std / math.sqrt(n)
    assert float(weight.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * n))


@pytest.mark.parametrize("name", PROMISED)
@pytest.mark.parametrize("kind", LAYERS)
def test_weights_have_the_promised_spread(name: str, kind: str) -> None:
    make, n_in, n_out = LAYERS[kind]
    layer = make()
    initialize(layer, configured(name))
    assert_spread(weight_of(layer), PROMISED[name](n_in, n_out))


@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("kind", LAYERS)
def test_variance_scaling_keeps_its_variance(kind: str, mode: str, distribution: str) -> None:
    make, n_in, n_out = LAYERS[kind]
    layer = make()
    initialize(layer, configured("variance_scaling", init_mode=mode, init_distribution=distribution))
    fan = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[mode]
    assert_spread(weight_of(layer), math.sqrt(SCALE / fan))


@pytest.mark.parametrize(
    ("name", "bound"),
    [("uniform", math.sqrt(3) * STD), ("truncated_normal", 2 / 0.87962566 * STD)],
)
def test_bounded_draws_fill_their_bounds(name: str, bound: float) -> None:
    layer = nn.Linear(500, 500)
    initialize(layer, configured(name))
    assert 0.98 * bound < weight_of(layer).abs().max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        ("relu", 0.0),
        ("leaky_relu", 0.01),
        ("prelu", 0.25),
        ("rrelu", 11 / 48),
        ("tanh", 0.0),
        ("silu", 0.0),
    ],
)
def test_kaiming_knows_the_slope_of_the_activation(activation: str, slope: float) -> None:
    layer = nn.Linear(600, 400)
    initialize(layer, configured("kaiming_normal", activation=activation))
    assert_spread(weight_of(layer), math.sqrt(2 / (1 + slope**2) / 600))


def test_kaiming_keeps_the_signal_through_a_deep_relu_network() -> None:
    layers = [nn.Linear(500, 500) for _ in range(12)]
    model = nn.Sequential(*[module for layer in layers for module in (layer, nn.ReLU())])
    x = torch.randn(64, 500)
    with torch.no_grad():
        initialize(model, TrialConfig(init="kaiming_normal"))
        assert 0.2 < model(x).square().mean() / x.square().mean() < 5
        initialize(model, TrialConfig(init="lecun_normal"))
        assert model(x).square().mean() < 0.01, "which a gain of 1 does not"


@pytest.mark.parametrize(("name", "value"), [("zeros", 0.0), ("constant", -0.3)])
@pytest.mark.parametrize("kind", LAYERS)
def test_constant_weights(name: str, value: float, kind: str) -> None:
    layer = LAYERS[kind][0]()
    initialize(layer, TrialConfig(init=name, init_value=value))
    assert (weight_of(layer) == value).all()


@pytest.mark.parametrize("layer", [nn.Linear(90, 40), nn.Linear(40, 90), nn.Conv2d(10, 30, 3)])
def test_orthogonal_rows_or_columns(layer: nn.Module) -> None:
    initialize(layer, configured("orthogonal"))
    weight = weight_of(layer).flatten(1)
    square = weight @ weight.T if len(weight) <= weight.shape[1] else weight.T @ weight
    torch.testing.assert_close(square, SCALE**2 * torch.eye(len(square)), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("layer", "gates"),
    [
        (nn.RNN(20, 30, num_layers=2), 1),
        (nn.LSTM(20, 30, num_layers=2), 4),
        (nn.GRU(20, 30, bidirectional=True), 3),
        (nn.GRUCell(20, 30), 3),
    ],
)
def test_recurrent_weights_are_filled_gate_by_gate(layer: nn.Module, gates: int) -> None:
    initialize(layer, TrialConfig(init="orthogonal"))
    inner = [w.detach() for name, w in layer.named_parameters() if name.startswith("weight_hh")]
    assert inner
    for weight in inner:
        for gate in weight.reshape(gates, 30, 30):
            torch.testing.assert_close(gate @ gate.T, torch.eye(30), atol=1e-4, rtol=0)


def test_the_fans_of_a_recurrent_weight_are_those_of_one_gate() -> None:
    layer = nn.LSTM(120, 200)
    initialize(layer, TrialConfig(init="xavier_normal"))
    assert_spread(layer.get_parameter("weight_ih_l0").detach(), math.sqrt(2 / (120 + 200)))
    assert_spread(layer.get_parameter("weight_hh_l0").detach(), math.sqrt(2 / (200 + 200)))


def mixed_model() -> nn.Module:
    return nn.ModuleDict(
        {
            "embedding": nn.Embedding(30, 8),
            "norm": nn.LayerNorm(8),
            "slope": nn.PReLU(),
            "recurrent": nn.LSTM(8, 16),
            "convolution": nn.Conv1d(8, 8, 3),
            "hidden": nn.Linear(16, 16),
            "head": nn.Linear(16, 4),
        }
    )


@pytest.mark.parametrize("name", INITS)
def test_only_layers_that_add_up_signals_are_filled(name: str) -> None:
    model = mixed_model()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    initialize(model, TrialConfig(init=name))
    for key, value in model.state_dict().items():
        if key.split(".")[0] in ("embedding", "norm", "slope"):
            assert torch.equal(value, before[key]), f"{key} is left alone"
        elif "bias" in key:
            assert (value == 0).all(), f"{key} is zero"
        else:
            assert not torch.equal(value, before[key]), f"{key} is filled, the output layer too"


def test_the_global_generator_decides_the_draws() -> None:
    first, second, third = mixed_model(), mixed_model(), mixed_model()
    for model, seed in ((first, 5), (second, 5), (third, 6)):
        torch.manual_seed(seed)
        initialize(model, TrialConfig(init="xavier_uniform"))
    weights = [model.get_parameter("head.weight") for model in (first, second, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_spread_of_zero_is_allowed() -> None:
    for name in ("normal", "truncated_normal", "uniform"):
        layer = nn.Linear(5, 5)
        initialize(layer, TrialConfig(init=name, init_std=0.0))
        assert (layer.weight == 0).all()
