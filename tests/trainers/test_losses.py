"""Losses and metrics against slow, obvious twins on fresh random inputs."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import nn

from trainers.errors import DataError, SettingError
from trainers.losses import METRICS, evaluate, goal_of, loss_function, metric_names, trivial_loss


class Answers(nn.Module):
    """Gives the answers it was made with, in order, whatever it is asked."""

    def __init__(self, answers):
        super().__init__()
        self.answers = iter(answers)

    def forward(self, x):
        return next(self.answers)


def batches_of(n, size, *tensors):
    return [tuple(t[i : i + size] for t in tensors) for i in range(0, n, size)]


def evaluated(logits, target, task, size):
    pairs = batches_of(len(logits), size, logits, target)
    model = Answers([given for given, _ in pairs])
    return evaluate(model, [(given, wanted) for given, wanted in pairs], task)


def softmax_loss(logits, label):
    exp = [math.exp(v - max(logits)) for v in logits]
    return -math.log(exp[label] / sum(exp))


@pytest.mark.parametrize(("n", "size"), [(50, 16), (48, 16), (7, 100), (9, 1)])
def test_classification_metrics_equal_their_twins_over_unequal_batches(n, size):
    logits, target = 3 * torch.randn(n, 5), torch.randint(0, 5, (n,))
    found = evaluated(logits, target, "classification", size)
    guess = logits.argmax(1)
    losses = [softmax_loss(row.tolist(), int(y)) for row, y in zip(logits, target, strict=True)]
    recalls = [(guess[target == c] == c).double().mean() for c in range(5) if (target == c).any()]
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(target, guess))
    assert found["balanced_accuracy"] == pytest.approx(float(sum(recalls) / len(recalls)))


def test_balanced_accuracy_equals_sklearns_when_every_class_occurs():
    target = torch.cat([torch.arange(4), torch.randint(0, 2, (60,))])
    logits = torch.randn(64, 4)
    found = evaluated(logits, target, "classification", 10)
    expected = sk.balanced_accuracy_score(target, logits.argmax(1))
    assert found["balanced_accuracy"] == pytest.approx(expected)


def test_tokens_are_scored_at_every_place():
    logits, target = torch.randn(10, 6, 7), torch.randint(0, 7, (10, 6))
    found = evaluated(logits, target, "classification", 4)
    losses = [softmax_loss(logits[b, t].tolist(), int(target[b, t])) for b in range(10) for t in range(6)]
    assert set(found) == {"loss", "accuracy"}
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["accuracy"] == pytest.approx((logits.argmax(2) == target).double().mean().item())


@pytest.mark.parametrize(("outputs", "flat"), [(1, True), (1, False), (3, False)])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_regression_metrics_equal_sklearns(outputs, flat, offset):
    target = torch.randn(53, outputs) * torch.tensor([1.0, 5.0, 0.2])[:outputs] + offset
    guess = target + 0.5 * torch.randn(53, outputs)
    found = evaluated(guess, target[:, 0] if flat else target, "regression", 16)
    want, have = target.double().numpy(), guess.double().numpy()
    assert found["loss"] == pytest.approx(sk.mean_squared_error(want, have), rel=1e-6)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(want, have), rel=1e-6)
    assert found["rmse"] == pytest.approx(math.sqrt(sk.mean_squared_error(want, have)), rel=1e-6)
    assert found["r2"] == pytest.approx(sk.r2_score(want, have), rel=1e-6)


def test_r2_of_a_constant_target_is_finite_and_equals_sklearns():
    target = torch.tensor([[7.0, 1.0], [7.0, 2.0], [7.0, 4.0]])
    for guess in (target.clone(), target + 1):
        found = evaluated(guess, target, "regression", 2)
        assert found["r2"] == pytest.approx(sk.r2_score(target.numpy(), guess.numpy()))


def test_r2_keeps_its_digits_far_from_zero():
    target = 2.0**23 + torch.randint(0, 3, (53, 1)).float()
    guess = target + torch.randint(-1, 2, (53, 1))
    found = evaluated(guess, target, "regression", 16)
    assert found["r2"] == pytest.approx(sk.r2_score(target.double(), guess.double()), rel=1e-9)


def test_a_non_finite_loss_is_not_hidden():
    logits = torch.randn(8, 3)
    logits[5, 1] = math.nan
    assert math.isnan(evaluated(logits, torch.ones(8).long(), "classification", 4)["loss"])
    guess = torch.randn(8, 1)
    guess[2] = math.inf
    assert evaluated(guess, torch.ones(8, 1), "regression", 4)["loss"] == math.inf


def test_an_evaluation_uses_evaluation_mode_and_gives_every_mode_back():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.9), nn.Linear(8, 3))
    model.train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = [(torch.randn(6, 4), torch.randint(0, 3, (6,)))]
    first, second = (evaluate(model, data, "classification") for _ in range(2))
    assert first == second
    assert [module.training for module in model] == [True, False, True, True]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_modes_come_back_when_an_evaluation_fails():
    model = nn.Sequential(nn.Linear(4, 3)).train()
    with pytest.raises(RuntimeError):
        evaluate(model, [(torch.randn(6, 5), torch.zeros(6).long())], "classification")
    assert model.training and model[0].training


def test_an_evaluation_of_nothing_is_an_error():
    with pytest.raises(DataError, match="at least one batch"):
        evaluate(nn.Linear(1, 1), [], "regression")


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(9,), (4, 5)])
def test_the_classification_loss_is_cross_entropy_with_smoothing(smoothing, shape):
    logits, target = torch.randn(*shape, 6), torch.randint(0, 6, shape)
    loss = loss_function("classification", SimpleNamespace(label_smoothing=smoothing))
    rows, labels = logits.reshape(-1, 6), target.reshape(-1)
    slow = []
    for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
        each = [softmax_loss(row, c) for c in range(6)]
        slow.append((1 - smoothing) * each[label] + smoothing * sum(each) / 6)
    assert loss(logits, target).item() == pytest.approx(np.mean(slow), rel=1e-5)


def test_the_regression_loss_does_not_broadcast_flat_targets():
    loss = loss_function("regression", SimpleNamespace(label_smoothing=0.0))
    guess, target = torch.randn(8, 1), torch.randn(8)
    assert loss(guess, target).item() == pytest.approx((guess[:, 0] - target).square().mean().item())
    with pytest.raises(RuntimeError):
        loss(torch.randn(8, 3), target)


def test_losses_of_half_precision_outputs_are_taken_in_single_precision():
    settings = SimpleNamespace(label_smoothing=0.0)
    half = torch.randn(4, 3, dtype=torch.bfloat16)
    loss = loss_function("classification", settings)(half, torch.tensor([0, 1, 2, 0]))
    assert loss.dtype == torch.float32
    assert loss_function("regression", settings)(half, torch.randn(4, 3)).dtype == torch.float32


def test_the_trivial_loss_is_the_best_constant_answers():
    labels = torch.randint(0, 4, (200,))
    shares = torch.bincount(labels).double() / 200
    constant = shares.log().float().expand(200, 4)
    found = evaluated(constant, labels, "classification", 64)["loss"]
    assert trivial_loss(labels, "classification", 4) == pytest.approx(found, rel=1e-5)
    values = 100 + torch.randn(200, 3) * torch.tensor([1.0, 2.0, 9.0])
    found = evaluated(values.mean(0).expand(200, 3), values, "regression", 64)["loss"]
    assert trivial_loss(values, "regression", 3) == pytest.approx(found, rel=1e-4)
    assert trivial_loss(values.numpy()[:, 0], "regression", 1) == pytest.approx(
        values[:, 0].double().var(correction=0).item(), rel=1e-4
    )


def test_the_trivial_loss_by_formula():
    assert trivial_loss(torch.tensor([0, 0, 1, 1]), "classification", 2) == pytest.approx(math.log(2))
    assert trivial_loss(torch.tensor([[3, 3], [3, 3]]), "classification", 5) == 0.0
    assert trivial_loss(np.array([1.0, 3.0]), "regression", 1) == 1.0


def test_metric_names_and_goals():
    assert metric_names("regression") == [
        f"{split}_{name}" for split in ("train", "val") for name in ("loss", "rmse", "mae", "r2")
    ]
    assert set(metric_names("auto")) == set(metric_names("classification")) | set(metric_names("regression"))
    assert len(set(metric_names("auto"))) == len(metric_names("auto"))
    assert goal_of("val_balanced_accuracy") == goal_of("val_r2") == "maximize"
    assert goal_of("train_loss") == goal_of("val_mae") == "minimize"
    with pytest.raises(SettingError, match=r"'val_acuracy'; did you mean 'val_accuracy'.*known: "):
        goal_of("val_acuracy")
    with pytest.raises(SettingError, match="task"):
        metric_names("regresion")


def test_a_metric_has_the_same_goal_in_every_task():
    for split_name in metric_names("auto"):
        name = split_name.split("_", 1)[1]
        goals = {metrics[name].goal for metrics in METRICS.values() if name in metrics}
        assert goals == {goal_of(split_name)}
