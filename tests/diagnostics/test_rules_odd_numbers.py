"""Rules, verdict and report meet rows that no training in order gives: none of them may break."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from made_up import DUE, EVALUATED, LAYERS, MATRICES, STEPS

from diagnostics import RULES, Series, Signals, diagnose
from diagnostics.findings import Facts
from diagnostics.report import to_dict, to_markdown, to_text

Array = np.ndarray[Any, np.dtype[np.float64]]
Odd = Callable[[Array, np.random.Generator], Array]

SITES = ("1", "3", "hidden2.input")
NORMS = ("norm1", "norm2")
FEATURES = ("feature 0", "feature 1", "feature 2")

EVERY = ("loss", "learning_rate", "raw_grad_norm")
EVALUATIONS = (
    *("train_loss", "val_loss", "train_accuracy", "val_accuracy", "eval_mode_share"),
    *("train_loss_split", "train_loss_upper"),
)
COLUMNS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("weight_norm", "grad_norm", "update_norm", "row_spread", "grad_row_spread"), MATRICES),
    **dict.fromkeys(("vector_weight_norm", "vector_grad_norm", "vector_update_norm"), ("hidden1.bias",)),
    **dict.fromkeys(("output_mean", "output_spread", "output_grad"), LAYERS),
    **dict.fromkeys(("zero_share", "slope_share", "dead_share", "site_units"), SITES),
    **dict.fromkeys(("running_gap", "running_ratio"), NORMS),
    **dict.fromkeys(("feature_mean", "feature_spread"), FEATURES),
    "rotation": MATRICES[:1],
}
PLAIN = (
    *("total_weight_norm", "total_grad_norm", "total_update_norm", "grad_dot", "grad_square", "overshoot"),
    *("answer_spread", "answer_scale", "answer_min", "answer_max", "answer_sum_gap", "answer_width"),
    *("train_mode", "batch_size", "x_mean", "x_spread", "x_min", "x_max", "x_bad", "y_bad", "y_min", "y_max"),
    *("y_entropy", "y_classes", "y_mean", "y_spread", "trivial_loss", "loss_ratio"),
)

FACTS: Mapping[str, tuple[float | int | str, ...]] = {
    "task": ("classification", "regression", "other"),
    "outputs": (1, 2, 10),
    "trivial_loss": (0.0, 2.3, -1.0, 1e300),
    "total_steps": (0, 1, 400, 10**6),
    "steps_per_epoch": (0, 50),
    "learning_rate": (0.0, 0.1, 1e300),
    "weight_decay": (0.0, 0.1),
    "decoupled_decay": (0, 1),
    "optimizer": ("SGD", "AdamW"),
    "dropout": (0.0, 0.9),
    "batch_norms": (0, 2),
    "clip_norm": (0.0, 1.0),
    "head_layer": ("", "head", "nowhere"),
    "head": ("Linear", "Sigmoid", "Softmax"),
    "unoptimized": ("hidden1.weight,...", "", "bias"),
    "ended": ("finished", "stopped"),
    "sibling_train_loss": (0.0, -1e300, 1.0),
    "label_constant": (0, 1),
    "batch_size": (0, 1, 64),
    "parameters": (0, 100),
    "trainable": (0, 100),
    "feature_ratio": (1.0, 1e6),
    "feature_widest": (3.0,),
}

ODD: Mapping[str, Odd] = {
    "nothing odd": lambda x, rng: x,
    "zero": lambda x, rng: 0 * x,
    "minus zero": lambda x, rng: -0.0 * x,
    "negative": lambda x, rng: -x,
    "NaN": lambda x, rng: x + np.nan,
    "infinite": lambda x, rng: x + np.inf,
    "infinite below": lambda x, rng: x - np.inf,
    "huge": lambda x, rng: np.full_like(x, 1e300),
    "huge, above and below": lambda x, rng: 1.7e308 * np.sign(rng.normal(size=x.shape)),
    "tiny": lambda x, rng: np.full_like(x, 1e-300),
    "constant": lambda x, rng: np.full_like(x, 2.3),
    "NaN now and then": lambda x, rng: np.where(rng.random(x.shape) < 0.2, np.nan, x),
    "infinite at the end": lambda x, rng: np.concatenate([x[:-1], x[-1:] + np.inf]),
    "of any size": lambda x, rng: x * 10 ** rng.uniform(-300, 300, x.shape),
    "anything": lambda x, rng: rng.choice([0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e300, 1e-300], x.shape),
}


def usual(name: str, t: np.ndarray[Any, Any], rng: np.random.Generator) -> Series:
    """Rows of a signal that fall, with noise."""
    columns = COLUMNS.get(name, ())
    if rng.random() < 0.2:  # a program of one's own may look at fewer of them, or at others
        columns = (*columns[1:], *(["another"] if rng.random() < 0.5 and columns else []))
    shape = (len(t), len(columns)) if columns else (len(t),)
    level = 2.3 * np.exp(-t / 100).reshape(-1, *[1] * bool(columns))
    return Series(t, level * np.exp(0.1 * rng.normal(size=shape)), columns)


def odd_training(odd: Odd, rng: np.random.Generator, rows: int | None = None, first: int = 0) -> Signals:
    """Most of the signals, half of them odd; the first `rows` of each, with steps from `first` on."""
    steps = {**dict.fromkeys(EVERY, np.arange(STEPS)), **dict.fromkeys(EVALUATIONS, EVALUATED)}
    steps |= dict.fromkeys((*COLUMNS, *PLAIN), DUE)
    series = {}
    for name, t in steps.items():
        if rng.random() < 0.15:
            continue
        x = usual(name, t[:rows], rng)
        values = odd(x.values, rng) if rng.random() < 0.5 and len(x) else x.values
        series[name] = Series(x.steps + first, values, x.layers)
    return Signals(series)


def some_facts(rng: np.random.Generator) -> Facts:
    """A value for about half of the facts."""
    chosen = {name: values[int(rng.integers(len(values)))] for name, values in FACTS.items()}
    return {name: value for name, value in chosen.items() if rng.random() < 0.5}


def says_something_readable(signals: Signals, facts: Facts) -> None:
    """Nothing breaks: no rule, not the verdict, not the report in any form."""
    with np.errstate(all="raise"):  # `diagnose` says itself what of arithmetic it takes in its stride
        report = diagnose(signals, facts)
    assert report.errors == {}
    assert str(report.verdict) in to_text(report) and str(report.verdict) in to_markdown(report)
    assert json.loads(json.dumps(to_dict(report), allow_nan=False))


@pytest.mark.parametrize("name", ODD)
def test_odd_numbers_break_nothing(name: str, rng: np.random.Generator) -> None:
    for _ in range(20):
        says_something_readable(odd_training(ODD[name], rng), some_facts(rng))


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 9])
def test_few_rows_break_nothing(rows: int, rng: np.random.Generator) -> None:
    for name in ODD:
        for _ in range(3):
            says_something_readable(odd_training(ODD[name], rng, rows=rows), some_facts(rng))


def test_steps_need_not_begin_at_zero(rng: np.random.Generator) -> None:
    for name in ODD:
        for first in (1, 10**6):
            says_something_readable(odd_training(ODD[name], rng, first=first), some_facts(rng))


def test_every_rule_is_met() -> None:
    needed = {name for rule in RULES for name in rule.needs}
    assert needed <= {*EVERY, *EVALUATIONS, *COLUMNS, *PLAIN}
