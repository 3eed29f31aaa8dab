"""Facts about data, against data made to have them."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from diagnostics.data import describe_data, largest_share


def classes(rng: np.random.Generator, n: int = 2000, k: int = 5) -> tuple[Any, Any]:
    return rng.normal(size=(n, 8)), rng.integers(0, k, n)


def test_plain_data_show_nothing_odd(rng: np.random.Generator) -> None:
    facts = describe_data(*classes(rng), *classes(rng, 400), task="classification")
    assert facts["label_classes"] == 5 and facts["feature_count"] == 8
    assert facts["label_entropy"] == pytest.approx(math.log(5), rel=0.01)
    assert facts["label_order_runs_unless_shuffled"] == pytest.approx(1, abs=0.1)
    assert facts["feature_ratio"] < 1.2 and facts["feature_offset"] < 0.2
    assert facts["feature_scale"] == pytest.approx(1, abs=0.1)
    assert facts["label_shift"] < 0.1 and facts["label_shift_chance"] > 1e-4
    for name in ("feature_bad", "label_bad", "label_constant", "label_not_whole", "label_unseen"):
        assert facts[name] == 0
    assert facts["duplicates_across_split"] == 0 and "duplicates_disagree" not in facts


def test_values_that_are_not_finite_are_counted(rng: np.random.Generator) -> None:
    x, y = classes(rng)
    numbers = y.astype(float)
    bad = rng.choice(x.size, 7, replace=False)
    x.flat[bad] = [np.nan, np.inf, -np.inf, np.nan, np.nan, np.nan, np.nan]
    numbers[rng.choice(len(y), 3, replace=False)] = np.nan
    facts = describe_data(x, numbers, task="regression")
    assert facts["feature_bad"] == 7 and facts["label_bad"] == 3
    assert all(math.isfinite(value) for value in facts.values())


def test_scales_of_features(rng: np.random.Generator) -> None:
    x, y = classes(rng)
    widest = int(rng.integers(0, 8))
    x[:, widest] *= 5000
    facts = describe_data(x, y, task="classification")
    assert facts["feature_widest"] == widest
    assert facts["feature_ratio"] == pytest.approx(5000, rel=0.1)
    assert describe_data(x + 1e6, y, task="classification")["feature_offset"] > 1e5


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_constant_and_sorted_labels(rng: np.random.Generator, task: str) -> None:
    x, y = classes(rng)
    labels = y if task == "classification" else rng.normal(size=len(y))
    assert describe_data(x, np.full(len(y), labels[0]), task=task)["label_constant"] == 1
    in_order = describe_data(x, np.sort(labels), task=task)
    assert in_order["label_order_runs_unless_shuffled"] < 0.01
    assert describe_data(x, labels, task=task)["label_order_runs_unless_shuffled"] > 0.8


def test_labels_that_are_no_classes(rng: np.random.Generator) -> None:
    x, y = classes(rng)
    assert describe_data(x, y + 0.5, task="classification")["label_not_whole"] == len(y)
    one_hot = describe_data(x, np.eye(5)[y], task="classification")
    assert one_hot["label_classes"] == 5 and one_hot["label_max"] == 4


def test_validation_labels_of_another_distribution(rng: np.random.Generator) -> None:
    (x, y), (v, w) = classes(rng), classes(rng, 500)
    other = describe_data(x, y, v, np.where(w == 0, 7, 1), task="classification")
    p, q = np.bincount(y, minlength=8) / len(y), np.bincount(np.where(w == 0, 7, 1), minlength=8) / len(w)
    assert other["label_shift"] == pytest.approx(np.abs(p - q).sum() / 2)
    assert other["label_unseen"] == pytest.approx(float(np.mean(w == 0)))
    assert other["label_shift_chance"] < 1e-9
    moved = describe_data(x, x[:, 0], v, v[:, 0] + 1, task="regression")
    assert moved["label_shift"] == pytest.approx(0.38, abs=0.08) and moved["label_shift_chance"] < 1e-9


def test_how_often_chance_gives_as_much_is_right(rng: np.random.Generator) -> None:
    chances: dict[str, list[float]] = {"classification": [], "regression": []}
    for _ in range(300):
        for task, found in chances.items():
            draw = (lambda n: rng.integers(0, 4, n)) if task == "classification" else rng.normal
            y, v = (draw(n) if task == "classification" else rng.normal(size=n) for n in (800, 200))
            facts = describe_data(np.zeros((800, 1)), y, np.zeros((200, 1)), v, task=task)
            found.append(facts["label_shift_chance"])
    for found in chances.values():
        assert 0.03 < np.mean(np.array(found) < 0.1) < 0.18


def test_the_largest_class_is_never_larger_than_said(rng: np.random.Generator) -> None:
    for _ in range(200):
        shares = rng.dirichlet(rng.uniform(0.1, 3, int(rng.integers(2, 12))))
        entropy = -float(np.sum(shares * np.log(np.maximum(shares, 1e-300))))
        assert largest_share(entropy, len(shares)) >= shares.max() - 0.01


def test_copies_across_the_split(rng: np.random.Generator) -> None:
    (x, y), (v, w) = classes(rng), classes(rng, 400)
    rows = rng.choice(len(x), 100, replace=False)
    v[:100], w[:100] = x[rows], y[rows]
    w[:25] += 1
    facts = describe_data(x.reshape(-1, 2, 2, 2), y, v.reshape(-1, 2, 2, 2), w, task="classification")
    assert facts["duplicates_across_split"] == pytest.approx(0.25)
    assert facts["duplicates_disagree"] == pytest.approx(0.25)


def test_rows_that_agree_in_most_columns_are_no_copies(rng: np.random.Generator) -> None:
    x, v = np.zeros((300, 40)), np.zeros((100, 40))
    x[:, -1], v[:, -1] = rng.normal(size=300), rng.normal(size=100)
    facts = describe_data(x, x[:, -1], v, v[:, -1], task="regression")
    assert facts["duplicates_across_split"] == 0


def test_tokens_and_lists_are_taken_too(rng: np.random.Generator) -> None:
    tokens = rng.integers(0, 30, (50, 12))
    facts = describe_data(tokens.tolist(), np.roll(tokens, -1, axis=1), task="classification")
    assert facts["label_classes"] == 30
    assert describe_data([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], task="regression")["feature_count"] == 1


def test_many_samples_are_looked_at_quickly(rng: np.random.Generator) -> None:
    x = rng.random((100_000, 100), dtype=np.float32)
    y = rng.integers(0, 10, len(x))
    start = time.perf_counter()
    describe_data(x, y, x[:10_000], y[:10_000], task="classification")
    assert time.perf_counter() - start < 5, "a twentieth of that in fact"


def test_inputs_and_labels_must_be_of_the_same_number(rng: np.random.Generator) -> None:
    x, y = classes(rng)
    with pytest.raises(ValueError, match="got 2000 samples and 1999 labels"):
        describe_data(x, y[1:], task="classification")
