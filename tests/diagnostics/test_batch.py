"""What is said of a batch, against slow twins; and batches of kinds that nobody thought of."""

from __future__ import annotations

import math
from collections import Counter, UserDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from diagnostics.measuring.batch import FEATURES, BatchWatch
from diagnostics.measuring.figures import Row


def found(row: Row) -> dict[str, Any]:
    """A row as plain numbers."""
    return {
        name: [float(value) for value in x.values()] if isinstance(x, dict) else float(x)
        for name, x in row.items()
    }


def entropy(labels: Sequence[int]) -> float:
    """In nats."""
    return -sum(n / len(labels) * math.log(n / len(labels)) for n in Counter(labels).values())


def test_inputs() -> None:
    for shape in ((16, 5), (1, 5), (4, 1), (3, 2, 4, 4), (6, FEATURES + 1), (7,)):
        x = 3 + 2 * torch.randn(*shape)
        row = found(BatchWatch("regression", None).figures((x, None), None))
        values = x.double().flatten().tolist()
        assert row["batch_size"] == shape[0]
        assert row["x_mean"] == pytest.approx(np.mean(values), rel=1e-4)
        assert row["x_spread"] == pytest.approx(np.std(values), rel=1e-3)
        assert (row["x_min"], row["x_max"], row["x_bad"]) == (min(values), max(values), 0)
        table = len(shape) == 2 and shape[0] > 1 and shape[1] <= FEATURES
        assert ("feature_mean" in row) == table
        if table:
            columns = [x[:, i].double().tolist() for i in range(shape[1])]
            assert row["feature_mean"] == pytest.approx(
                [float(np.mean(c)) for c in columns], rel=1e-3, abs=1e-5
            )
            assert row["feature_spread"] == pytest.approx([float(np.std(c)) for c in columns], rel=1e-3)


def test_what_is_not_finite_is_said_and_left_out_of_the_rest() -> None:
    x, y = torch.rand(8, 3), torch.rand(8, 2)
    x[0, 0], x[1, 1], y[3, 0] = torch.nan, torch.inf, torch.nan
    row = found(BatchWatch("regression", None).figures((x, y), 2))
    assert row["x_bad"] >= 1 and row["y_bad"] == 1
    assert all(np.all(np.isfinite(values)) for values in row.values())
    assert row["x_max"] <= 1 and row["y_max"] <= 1, "a stand-in for infinity is no largest value"


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.int32, torch.uint8, torch.float32, torch.bool, torch.int16]
)
def test_labels_of_every_kind(dtype: torch.dtype) -> None:
    watch, seen = BatchWatch("classification", 5), []
    for size in (30, 30, 1):
        y = torch.randint(2 if dtype is torch.bool else 5, (size,)).to(dtype)
        labels = [int(label) for label in y]
        seen += labels
        row = found(watch.figures((torch.randn(size, 3), y), None))
        assert row["y_entropy"] == pytest.approx(entropy(labels), abs=1e-5)
        assert row["y_classes"] == len(set(labels))
        corrected = min(math.log(5), entropy(seen) + (len(set(seen)) - 1) / (2 * len(seen)))
        expected = corrected if len(seen) >= 10 * 5 else math.log(5)
        assert row["trivial_loss"] == pytest.approx(expected, abs=1e-5)
        assert (row["y_min"], row["y_max"], row["y_bad"]) == (min(labels), max(labels), 0)


def test_many_classes_in_few_bits() -> None:
    y = torch.tensor([0, 255, 3], dtype=torch.uint8)
    assert found(BatchWatch("classification", 1000).figures((torch.randn(3, 2), y), None))["y_classes"] == 3


def test_labels_outside_of_the_classes_are_left_out() -> None:
    y = torch.tensor([0, 1, -100, 7])
    row = found(BatchWatch("classification", 3).figures((torch.randn(4, 2), y), None))
    assert row["y_classes"] == 2 and row["y_entropy"] == pytest.approx(math.log(2), abs=1e-6)
    assert (row["y_min"], row["y_max"]) == (-100, 7)


def test_tokens_and_maps_of_labels() -> None:
    y = torch.randint(4, (3, 5))
    row = found(BatchWatch("classification", None).figures((y, y), 4))
    assert row["y_entropy"] == pytest.approx(entropy(y.flatten().tolist()), abs=1e-5)


def test_the_width_of_answers_may_change() -> None:
    watch = BatchWatch("classification", None)
    for width in (3, 7, 4):
        y = torch.randint(3, (8,))
        assert found(watch.figures((torch.randn(8, 2), y), width))["y_classes"] == len(y.unique())


def test_targets_of_a_regression_and_the_loss_of_their_mean() -> None:
    for shape in ((16,), (16, 1), (16, 3), (1, 2)):
        watch, seen = BatchWatch("regression", None), []
        for _ in range(3):
            y = 100 + torch.randn(*shape)
            seen.append(y.double().reshape(shape[0], -1))
            row = found(watch.figures((torch.randn(shape[0], 2), y), None))
            assert row["y_mean"] == pytest.approx(float(y.mean()), rel=1e-5)
            spread = float(seen[-1].var(dim=0, correction=0).mean().sqrt())
            assert row["y_spread"] == pytest.approx(spread, rel=1e-3, abs=1e-5)
        trivial = float(torch.cat(seen).var(dim=0, correction=0).mean())
        assert row["trivial_loss"] == pytest.approx(trivial, rel=0.02, abs=1e-3)


def test_targets_far_from_zero_keep_their_digits() -> None:
    watch = BatchWatch("regression", None)
    y = 1e5 + torch.randn(256)
    for _ in range(2):
        row = found(watch.figures((torch.randn(256, 2), y), None))
    assert row["trivial_loss"] == pytest.approx(float(y.double().var(correction=0)), rel=0.05)


class Pair(NamedTuple):
    """A batch with names."""

    image: Tensor
    label: Tensor


X, Y = torch.randn(4, 3), torch.randint(3, (4,))

KINDS: dict[str, tuple[Any, bool, bool]] = {
    "pair": ((X, Y), True, True),
    "list": ([X, Y], True, True),
    "names": (Pair(X, Y), True, True),
    "mapping": (UserDict(inputs=X, labels=Y), True, True),
    "more": ((X, Y, torch.ones(4)), True, True),
    "several inputs": (((X, X), Y), True, True),
    "alone": (X, True, False),
    "nothing": (None, False, False),
    "text": (("a", "b"), False, False),
    "unknown names": ({"foo": X}, False, False),
    "arrays": ((X.numpy(), Y.numpy()), False, False),
    "empty": ((X[:0], Y[:0]), False, False),
    "nested targets": ((X, {"boxes": Y}), True, False),
    "complex": ((torch.randn(4, 3, dtype=torch.complex64), Y), False, True),
    "sparse": ((X.to_sparse(), Y), False, True),
    "half": ((X.half(), Y), True, True),
    "whole numbers": ((torch.randint(9, (4, 6)), Y), True, True),
    "yes and no": ((X > 0, Y), True, True),
    "soft labels": ((X, torch.rand(4, 3).softmax(dim=1)), True, True),
    "a single number": ((X, torch.tensor(1)), True, True),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_every_kind(kind: str) -> None:
    batch, has_x, has_y = KINDS[kind]
    row = found(BatchWatch("classification", 3).figures(batch, 3))
    assert ("batch_size" in row, "y_bad" in row) == (has_x, has_y)
