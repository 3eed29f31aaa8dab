"""What each dropout drops, how much of it, and what it keeps."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.config import TrialConfig
from trainers.parts.dropouts import (
    DISTORTION,
    DROPOUTS,
    Disout,
    DropBlock,
    DropConnect,
    drop_features,
    drop_weights,
    kept_blocks,
)

RATE = 0.3


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


def configured(kind: str, rate: float = RATE, **settings: Any) -> TrialConfig:
    return TrialConfig(model="cnn", dropout_kind=kind, dropout=rate, **settings)


def share(flags: Tensor) -> float:
    return float(flags.float().mean())


def standard_error(rate: float, draws: int) -> float:
    return float((rate * (1 - rate) / draws) ** 0.5)


@pytest.mark.parametrize("kind", DROPOUTS)
def test_rate_zero_and_evaluation_change_nothing(kind: str) -> None:
    x = torch.randn(5, 6, 9, 9)
    assert torch.equal(DROPOUTS[kind].make(configured(kind, rate=0.0))(x), x)
    assert torch.equal(DROPOUTS[kind].make(configured(kind, rate=0.9)).eval()(x), x)


@pytest.mark.parametrize("kind", [kind for kind in DROPOUTS if kind != "none"])
def test_training_changes_something_and_never_the_same(kind: str) -> None:
    x = torch.randn(5, 20, 9, 9)
    drop = DROPOUTS[kind].make(configured(kind))
    assert not torch.equal(drop(x), x)
    assert not torch.equal(drop(x), drop(x))


@pytest.mark.parametrize("kind", [kind for kind in DROPOUTS if kind != "alpha_dropout"])
def test_the_mean_stays(kind: str) -> None:
    x = torch.ones(400, 50, 8, 8)
    y = DROPOUTS[kind].make(configured(kind))(x)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.03)


def test_dropout_drops_its_share() -> None:
    y = DROPOUTS["dropout"].make(configured("dropout"))(torch.ones(1000, 500))
    assert share(y == 0) == pytest.approx(RATE, abs=5 * standard_error(RATE, y.numel()))
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, 1 / (1 - RATE)]))


def test_channel_dropout_drops_whole_channels() -> None:
    y = DROPOUTS["channel"].make(configured("channel"))(torch.ones(200, 100, 4, 4))
    channels = y.flatten(2)
    assert ((channels == 0).all(2) | (channels != 0).all(2)).all()
    gone = share(channels[:, :, 0] == 0)
    assert gone == pytest.approx(RATE, abs=5 * standard_error(RATE, 20_000))


def test_alpha_dropout_keeps_mean_and_variance_behind_selu() -> None:
    x = F.selu(torch.randn(2000, 500))
    y = DROPOUTS["alpha_dropout"].make(configured("alpha_dropout"))(x)
    assert float(y.mean()) == pytest.approx(0.0, abs=0.01)
    assert float(y.var()) == pytest.approx(1.0, abs=0.02)
    lowest = y == y.min()
    assert share(lowest) == pytest.approx(RATE, abs=0.005), "dropped to the far end of selu"


def assert_blocks(dropped: Tensor, tall: int, wide: int) -> None:
    """Every dropped pixel lies in a block of dropped pixels."""
    assert dropped.any()
    covered = torch.zeros_like(dropped)
    for top in range(dropped.shape[2] - tall + 1):
        for left in range(dropped.shape[3] - wide + 1):
            window = (..., slice(top, top + tall), slice(left, left + wide))
            covered[window] |= dropped[window].all(-1).all(-1)[..., None, None]
    assert torch.equal(covered, dropped)


@pytest.mark.parametrize(("height", "width", "block"), [(9, 9, 3), (10, 7, 4), (4, 12, 6), (3, 3, 8)])
def test_dropblock_drops_whole_blocks(height: int, width: int, block: int) -> None:
    y = DropBlock(0.2, block)(torch.ones(30, 4, height, width))
    tall, wide = min(block, height), min(block, width)
    assert_blocks(y == 0, tall, wide)


@pytest.mark.parametrize(("side", "block"), [(12, 3), (9, 1), (8, 7), (5, 9)])
@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_dropblock_drops_what_its_formula_says(side: int, block: int, rate: float) -> None:
    kept = kept_blocks(torch.empty(500, 40, side, side), rate, block)
    b = min(block, side)
    starts = side - b + 1
    gamma = rate / b**2 * side**2 / starts**2
    reach = [sum(1 for s in range(starts) if s <= place < s + b) for place in range(side)]
    chances = [1 - (1 - gamma) ** (up * across) for up in reach for across in reach]
    expected = sum(chances) / len(chances)
    blocks = 500 * 40 * starts**2 * gamma
    assert share(~kept) == pytest.approx(expected, rel=5 / blocks**0.5)
    assert 0.8 * rate < expected <= rate * (1 + 1e-9), "blocks that overlap cost a little"


def test_dropblock_survives_a_batch_where_all_is_dropped() -> None:
    x = torch.randn(1, 1, 2, 2, requires_grad=True)
    drop = DropBlock(0.99, 2)
    for _ in range(50):
        y = drop(x)
        assert torch.isfinite(y).all()


def test_dropconnect_drops_weights_and_not_features() -> None:
    layer = nn.Linear(60, 80)
    nn.init.constant_(layer.bias, 7.0)
    dropped = drop_weights(layer, configured("dropconnect"))
    assert isinstance(dropped, DropConnect)

    seen = dropped(torch.cat([torch.eye(60), torch.eye(60)])) - 7.0  # row i shows column i
    assert torch.equal(seen[:60], seen[60:]), "one mask for the whole batch"
    weight = seen[:60].T
    gone = weight.abs() < 1e-6
    assert share(gone) == pytest.approx(RATE, abs=5 * standard_error(RATE, gone.numel()))
    torch.testing.assert_close(weight[~gone], (layer.weight / (1 - RATE))[~gone], atol=1e-5, rtol=1e-4)
    assert not gone.all(0).any() and not gone.all(1).any(), "entries, not units"


def test_dropconnect_sends_no_gradient_to_dropped_weights() -> None:
    layer = nn.Conv2d(3, 8, 3)
    dropped = drop_weights(layer, configured("dropconnect"))
    dropped(torch.randn(2, 3, 6, 6)).square().sum().backward()
    assert layer.weight.grad is not None
    gone = share(layer.weight.grad == 0)
    assert gone == pytest.approx(RATE, abs=5 * standard_error(RATE, layer.weight.numel()))
    assert layer.bias is not None and layer.bias.grad is not None
    assert (layer.bias.grad != 0).all()


def test_dropconnect_evaluates_the_layer_as_it_is() -> None:
    layer, x = nn.Linear(6, 4), torch.randn(3, 6)
    dropped = drop_weights(layer, configured("dropconnect"))
    assert torch.equal(dropped.eval()(x), layer(x))
    assert {name for name, _ in dropped.named_parameters()} == {"layer.weight", "layer.bias"}
    always = drop_weights(layer, configured("dropconnect", rate=0.0))
    assert torch.equal(always.train()(x), layer(x))


def test_weights_or_features_are_dropped_but_never_both() -> None:
    layer = nn.Linear(6, 4)
    for kind, known in DROPOUTS.items():
        on_features = not isinstance(drop_features(configured(kind)), nn.Identity)
        on_weights = drop_weights(layer, configured(kind)) is not layer
        assert on_weights == known.on_weights
        assert on_features == (not known.on_weights and kind != "none")


@pytest.mark.parametrize("shape", [(2000, 300), (100, 40, 12, 12)])
def test_disout_distorts_its_share_and_scales_the_rest(shape: tuple[int, ...]) -> None:
    x = 5.0 + torch.rand(shape)
    y = Disout(0.2, 2)(x)
    kept = y > 2.5
    assert share(~kept) == pytest.approx(0.2, rel=0.12)
    torch.testing.assert_close(y[kept], x[kept] / share(kept), rtol=1e-4, atol=0)
    noise = y[~kept]
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.01)
    assert float(noise.std()) == pytest.approx(DISTORTION * float(x.std()), rel=0.05)
    assert share(noise != 0) > 0.99


def test_disout_distorts_blocks_of_an_image() -> None:
    y = Disout(0.2, 3)(torch.full((20, 5, 9, 9), 5.0) + torch.rand(20, 5, 9, 9))
    assert_blocks(y < 2.5, 3, 3)
