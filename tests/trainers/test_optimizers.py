"""Each optimizer against its published update, and which parameters get which treatment."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from trainers.config import TrialConfig
from trainers.parts.averaging import average_weights
from trainers.parts.optimizers import OPTIMIZERS, build_optimizer, set_learning_rates
from trainers.parts.penalties import l1_penalty

RATE, MOMENTUM, BETA2 = 0.03, 0.7, 0.95
Gradients = list[float]


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


def heavy_ball(w: float, gradients: Gradients, momentum: float) -> float:
    v = 0.0
    for g in gradients:
        v = momentum * v + g
        w -= RATE * v
    return w


def nesterov(w: float, gradients: Gradients) -> float:
    v = 0.0
    for g in gradients:
        v = MOMENTUM * v + g
        w -= RATE * (g + MOMENTUM * v)
    return w


def rmsprop(w: float, gradients: Gradients) -> float:
    s = v = 0.0
    for g in gradients:
        s = BETA2 * s + (1 - BETA2) * g * g
        v = MOMENTUM * v + g / (math.sqrt(s) + 1e-8)
        w -= RATE * v
    return w


def adagrad(w: float, gradients: Gradients) -> float:
    s = 0.0
    for g in gradients:
        s += g * g
        w -= RATE * g / (math.sqrt(s) + 1e-10)
    return w


def adam(w: float, gradients: Gradients) -> float:
    m = s = 0.0
    for t, g in enumerate(gradients, start=1):
        m = MOMENTUM * m + (1 - MOMENTUM) * g
        s = BETA2 * s + (1 - BETA2) * g * g
        w -= RATE * (m / (1 - MOMENTUM**t)) / (math.sqrt(s / (1 - BETA2**t)) + 1e-8)
    return w


def nadam(w: float, gradients: Gradients) -> float:
    m = s = 0.0
    product = 1.0
    for t, g in enumerate(gradients, start=1):
        now = MOMENTUM * (1 - 0.5 * 0.96 ** (t * 0.004))
        after = MOMENTUM * (1 - 0.5 * 0.96 ** ((t + 1) * 0.004))
        product *= now
        m = MOMENTUM * m + (1 - MOMENTUM) * g
        s = BETA2 * s + (1 - BETA2) * g * g
        ahead = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        w -= RATE * ahead / (math.sqrt(s / (1 - BETA2**t)) + 1e-8)
    return w


TWINS: dict[str, Callable[[float, Gradients], float]] = {
    "sgd": lambda w, g: heavy_ball(w, g, MOMENTUM),
    "momentum": lambda w, g: heavy_ball(w, g, MOMENTUM),
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adam,  # the same without weight decay
    "nadam": nadam,
}


class OneWeight(nn.Module):
    def __init__(self, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1), start, dtype=torch.float64))


def after(config: TrialConfig, start: float, gradients: Gradients) -> float:
    """Where the weight ends when it meets these gradients."""
    model = OneWeight(start)
    optimizer = build_optimizer(model, config)
    for gradient in gradients:
        model.weight.grad = torch.full_like(model.weight, gradient)
        optimizer.step()
    return model.weight.item()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_makes_its_published_steps(name: str) -> None:
    start, *gradients = torch.randn(6).tolist()
    config = TrialConfig(optimizer=name, learning_rate=RATE, momentum=MOMENTUM, beta2=BETA2)
    expected = TWINS[name](start, gradients)
    assert after(config, start, gradients) == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "momentum"),
    [("sgd", 0.0), ("rmsprop", 0.0), ("momentum", 0.9), ("nesterov", 0.9), ("adam", 0.9)],
)
def test_without_a_momentum_each_takes_its_own(name: str, momentum: float) -> None:
    start, *gradients = torch.randn(6).tolist()
    unsaid = TrialConfig(optimizer=name, learning_rate=RATE, momentum=None)
    said = TrialConfig(optimizer=name, learning_rate=RATE, momentum=momentum)
    assert after(unsaid, start, gradients) == after(said, start, gradients)


def test_nesterov_without_momentum_is_plain_descent() -> None:
    start, *gradients = torch.randn(6).tolist()
    config = TrialConfig(optimizer="nesterov", learning_rate=RATE, momentum=0.0)
    assert after(config, start, gradients) == pytest.approx(start - RATE * sum(gradients))


def mixed_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(16, 8),
        nn.LayerNorm(8),
        nn.Linear(8, 5),
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_acts_on_weights_only(name: str) -> None:
    model = mixed_model()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    config = TrialConfig(optimizer=name, learning_rate=0.1, weight_decay=0.5)
    build_optimizer(model, config).step()
    for key, parameter in model.named_parameters():
        is_weight = key in ("0.weight", "4.weight", "6.weight")
        assert (parameter < 1).all() if is_weight else (parameter == 1).all(), key


def test_adamw_decays_apart_from_the_gradient_and_adam_does_not() -> None:
    def decayed(name: str) -> float:
        config = TrialConfig(optimizer=name, learning_rate=0.1, weight_decay=0.5)
        return after(config, 2.0, [0.0])

    assert decayed("adamw") == pytest.approx(2.0 * (1 - 0.1 * 0.5))
    assert decayed("adam") == pytest.approx(2.0 - 0.1, rel=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_trainable_parameter_is_held_once_and_frozen_ones_never(name: str) -> None:
    model = mixed_model()
    model.get_submodule("0").requires_grad_(False)
    groups = build_optimizer(model, TrialConfig(optimizer=name)).param_groups
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_the_head_has_its_own_learning_rate_when_fine_tuning() -> None:
    model = mixed_model()
    config = TrialConfig(learning_rate=0.1, head_learning_rate=0.4, checkpoint="weights.pt")
    optimizer = build_optimizer(model, config)
    set_learning_rates(optimizer, 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for key, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(0.2 if key.startswith("6.") else 0.05), key


def test_the_learning_rate_is_scaled_from_its_start_each_time() -> None:
    optimizer = build_optimizer(mixed_model(), TrialConfig(learning_rate=0.1))
    for factor in torch.rand(5).tolist():
        set_learning_rates(optimizer, factor)
        assert all(g["lr"] == pytest.approx(0.1 * factor) for g in optimizer.param_groups)


def test_l1_penalty_is_the_sum_of_absolute_weights() -> None:
    model = mixed_model()
    model.get_submodule("4").requires_grad_(False)
    slow = 0.0
    for key in ("0.weight", "6.weight"):
        for number in model.get_parameter(key).flatten().tolist():
            slow += abs(number)
    penalty = l1_penalty(model.parameters())
    assert penalty.item() == pytest.approx(slow, rel=1e-5)

    torch.autograd.backward(penalty)
    head = model.get_parameter("6.weight")
    assert head.grad is not None
    assert torch.equal(head.grad, head.detach().sign())
    assert model.get_parameter("6.bias").grad is None
    assert l1_penalty([]).item() == 0.0


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_averaged_weights_follow_their_recurrence(decay: float) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    averaged = average_weights(model, decay)
    slow: dict[str, torch.Tensor] = {}
    for seen in range(30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(8, 3))
        averaged.update_parameters(model)
        keep = min(decay, (1 + seen) / (10 + seen)) if seen else 0.0
        for key, now in model.state_dict().items():
            if now.is_floating_point():
                slow[key] = keep * slow.get(key, now) + (1 - keep) * now
            else:
                slow[key] = now.clone()
    for key, value in averaged.module.state_dict().items():
        torch.testing.assert_close(value, slow[key], atol=1e-4, rtol=1e-4)
    assert not any(parameter.requires_grad for parameter in averaged.parameters())


def test_averaging_leaves_the_model_alone() -> None:
    model = nn.Linear(3, 4)
    averaged = average_weights(model, 0.9)
    before = model.weight.detach().clone()
    for _ in range(3):
        averaged.update_parameters(model)
    assert torch.equal(model.weight, before)
    assert model.weight.requires_grad
    torch.testing.assert_close(averaged.module.get_parameter("weight"), before)
