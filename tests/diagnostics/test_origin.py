"""Where a value that is not finite came from: the monitor names it, and what it names is where it was put."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from cadences import Never
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics import Monitor
from diagnostics.measuring import answers
from diagnostics.measuring.origin import origin_of, replay

CLASSES, STEPS = 3, 8
Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


class Sick(nn.Module):
    """Fine at first; from a step on, a part of it is not."""

    def __init__(self, harm: Callable[[Tensor], Tensor], begins: int = 4) -> None:
        super().__init__()
        self.harm, self.begins, self.calls = harm, begins, 0

    def forward(self, x: Tensor) -> Tensor:
        """Harmed."""
        self.calls += 1
        return self.harm(x) if self.calls > self.begins else x


@pytest.fixture(params=[2, answers.SETTLED], autouse=True)
def settled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """After how many passes answers are looked at for NaN alone before the update."""
    monkeypatch.setattr(answers, "SETTLED", request.param)
    return int(request.param)


def mlp(middle: nn.Module | None = None) -> nn.Sequential:
    """Two layers with something between them."""
    return nn.Sequential(nn.Linear(6, 8), middle or nn.ReLU(), nn.Linear(8, CLASSES))


def batch(step: int) -> Batch:
    """A batch of random samples."""
    return torch.randn(16, 6), torch.randint(CLASSES, (16,))


def named(
    model: nn.Module,
    batches: Callable[[int], Batch] = batch,
    loss_of: Loss = F.cross_entropy,
    rate: float = 0.1,
) -> tuple[int, str]:
    """The step and the origin that a training's facts name."""
    optimizer = torch.optim.SGD(model.parameters(), rate)
    task = "classification" if loss_of is F.cross_entropy else "regression"
    monitor = Monitor(model, optimizer, task=task, cadence=Never())
    for step in range(STEPS):
        x, y = batches(step)
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        monitor.step(loss, batch=(x, y))
    facts = monitor.signals.facts
    assert "probe_error" not in facts
    assert monitor.report().verdict == "non-finite"
    return int(facts["non_finite_step"]), str(facts["non_finite_origin"])


def test_a_feature_that_is_not_a_number() -> None:
    def batches(step: int) -> Batch:
        x, y = batch(step)
        if step == 3:
            x[5, 2] = torch.nan
        return x, y

    assert named(mlp(), batches) == (3, "input: NaN in feature 2")


def test_several_features_and_images() -> None:
    def batches(step: int) -> Batch:
        x, y = batch(step)
        x[0, 1] = x[3, 4] = torch.inf
        return x, y

    assert named(mlp(), batches) == (0, "input: infinity in features 1, 4")

    def images(step: int) -> Batch:
        x = torch.randn(16, 1, 2, 3)
        x[1, 0, 1, 1] = torch.nan
        return x, batch(step)[1]

    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(12, CLASSES))
    assert named(model, images) == (0, "input: NaN in 1 place")


def test_a_target_that_is_not_a_number() -> None:
    def batches(step: int) -> Batch:
        y = torch.randn(16, CLASSES)
        if step >= 2:
            y[1, 0] = torch.nan
        return torch.randn(16, 6), y

    assert named(mlp(), batches, F.mse_loss) == (2, "input: NaN in feature 0 of the targets")


def test_a_logarithm_of_zero_in_the_loss() -> None:
    def loss_of(answer: Tensor, y: Tensor) -> Tensor:
        share = torch.sigmoid(answer)
        return -torch.log(torch.where(y[:, None] == 0, share * 0, share)).mean()

    assert named(mlp(), loss_of=loss_of) == (0, "loss")


@pytest.mark.parametrize("harm", [lambda x: x / 0, lambda x: x * torch.inf, lambda x: x.sqrt()])
def test_a_part_that_gives_it(harm: Callable[[Tensor], Tensor]) -> None:
    assert named(mlp(Sick(harm))) == (4, "output of 1 (Sick)")


def test_arithmetic_between_the_parts() -> None:
    class Dividing(nn.Module):
        def __init__(self, late: bool) -> None:
            super().__init__()
            self.one, self.two, self.late = nn.Linear(6, 6), nn.Linear(6, CLASSES), late

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x)
            return self.two(x) / 0 if self.late else self.two(x / 0)

    assert named(Dividing(late=False)) == (0, "input of two (Linear)")
    assert named(Dividing(late=True)) == (0, "answer of Dividing, behind its last part")


def test_infinite_answers_late_in_a_training(settled: int) -> None:
    class Logarithm(nn.Module):
        def forward(self, share: Tensor) -> Tensor:
            return torch.log(share)

    model = nn.Sequential(nn.Linear(6, CLASSES), nn.Softmax(-1), Sick(lambda x: x * 0), Logarithm())
    step, origin = named(model, loss_of=F.nll_loss)
    early = "output of 3 (Logarithm)"  # before the update the module can be found as well
    assert (step, origin) == (
        4,
        early if settled > 4 else "answer of Sequential: infinity in 48 of 48 numbers",
    )


def test_a_loop_of_several_passes_a_step_is_looked_at_wholly(settled: int) -> None:
    model = nn.Linear(6, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    monitor = Monitor(model, optimizer, cadence=Never())
    held = []
    for step in range(2 * settled):
        x, y = batch(step)
        loss = F.cross_entropy(model(x), y)
        held.append(monitor._answers.newest is not None)
        if step >= settled + 5:
            loss = loss + F.cross_entropy(model(x), y)
            assert monitor._answers.newest is None, "no graph is held that the training lets go"
        loss.backward()
        optimizer.step()
        monitor.step(loss)
        assert monitor._answers.newest is None
    assert not any(held[:settled]) and all(held[settled : settled + 6]) and not any(held[settled + 6 :])


def test_a_gradient_that_is_not_finite_shows_in_the_weights_it_moved() -> None:
    model = mlp(Sick(lambda x: torch.sqrt(x * 0) + x, begins=2))  # finite, but not its slope
    assert named(model) == (3, "weight 0.weight and 1 more, since the update of step 2 was not finite")


def test_weights_that_explode() -> None:
    step, origin = named(mlp(), rate=1e30)
    assert step <= 3 and ("weight" in origin or "output of" in origin or origin == "loss"), origin


def test_weights_that_were_never_finite() -> None:
    model = mlp()
    model[2].bias.data[1] = torch.nan
    assert named(model) == (0, "weight 2.bias")


def test_a_running_statistic() -> None:
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, CLASSES)).eval()
    model[0].running_var[2] = torch.nan
    assert named(model) == (0, "output of 0 (BatchNorm1d)")


def test_half_precision_whose_sum_overflows_is_no_alarm() -> None:
    model = nn.Linear(6, 4096).to(torch.bfloat16)
    assert origin_of(model, (torch.ones(4, 6, dtype=torch.bfloat16),), {}) == ""
    half = nn.Identity()
    tail = nn.Sequential(half, nn.Linear(1, 1))
    monitor = Monitor(tail, torch.optim.SGD(tail.parameters(), 0.1), task="regression", cadence=Never())
    answers = torch.full((64, 64), 6e4, dtype=torch.float16)
    monitor._answers(tail, (answers,), {}, answers)
    assert monitor._answers.origin(0, None) == "loss"


def test_answers_masked_with_infinity_on_purpose() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.passes = nn.Linear(6, CLASSES + 1), 0

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            mask = torch.tensor([0.0, 0.0, 0.0, -torch.inf])
            return self.head(x) + mask

    model = Masked()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    monitor = Monitor(model, optimizer, cadence=Never())
    calls = 0
    handle = model.head.register_forward_hook(lambda *_: None)
    for step in range(20):
        x, y = batch(step)
        before = model.passes
        loss = F.cross_entropy(model(x) if step < 19 else model(x) * torch.nan, y)
        calls += model.passes - before
        loss.backward()
        optimizer.step()
        monitor.step(loss, batch=(x, y))
    handle.remove()
    assert calls == 20, "what a replay notes on the model is put back"
    assert monitor.signals.facts["non_finite_origin"] == "loss"


def test_a_replay_disturbs_nothing() -> None:
    class Noting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
            self.rnn = nn.LSTM(6, 6)
            self.state: object = None
            self.register_buffer("calls", torch.zeros(()), persistent=False)

        def forward(self, x: Tensor, *, scale: float) -> Tensor:
            self.calls += 1
            out, self.state = self.rnn(self.body(x) * (scale + random.random() + np.random.rand()))
            return out

    model = Noting()
    x = torch.randn(5, 6, requires_grad=True)
    model(x, scale=1.0)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    noted, calls = model.state, int(model.calls)
    streams = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    assert replay(model, (x,), {"scale": 2.0}).requires_grad is False
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.state is noted and int(model.calls) == calls
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == streams[1:]


def test_a_replay_under_autocast_leaves_the_gradients_whole() -> None:
    model = nn.Linear(6, CLASSES)
    x = torch.randn(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        replay(model, (x,), {})
        model(x).float().sum().backward()
    assert model.weight.grad is not None


def test_a_pass_that_raises_is_said() -> None:
    assert origin_of(nn.Linear(6, 3), (torch.randn(2, 5),), {}) == "a forward pass that raises RuntimeError"
    assert origin_of(nn.Linear(6, 3), (torch.randn(2, 6),), {}) == ""
