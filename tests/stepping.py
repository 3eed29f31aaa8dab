"""Made-up figures of what optimizer steps did to a network, healthy until a test spoils them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from diagnostics import Finding, Rule, Series, Severity, Signals

Array = np.ndarray[Any, np.dtype[np.float64]]
Change = Callable[["Training"], None]

N = 400
DUE = np.unique(np.concatenate([[0, 1, 2, 4, 8], np.geomspace(12, N - 1, 15).astype(int)]))
MODULES = tuple(f"hidden{i}" for i in range(6))
MATRICES = tuple(f"{name}.weight" for name in MODULES)
TRIVIAL = float(np.log(10))


class Training:
    """Figures of a healthy training, which a test then spoils. Due rows are `[rows]` or `[rows, layers]`."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng()
        self.loss = self._noisy(TRIVIAL * np.exp(-np.arange(N) / 60) + 0.05, 0.03)
        self.rate = 1e-3
        self.w = self._around(8.0, len(MATRICES)) * np.ones((len(DUE), 1))
        self.g = self._around(0.3, len(MATRICES)) * self._noisy(np.ones((len(DUE), len(MATRICES))), 0.2)
        self.u = self.w * self._noisy(np.full((len(DUE), len(MATRICES)), 2e-3), 0.2)
        self.d = self._noisy(np.full((len(DUE), len(MODULES)), 0.1), 0.2)
        self.facts: dict[str, float | int | str] = {
            "task": "classification",
            "outputs": 10,
            "optimizer": "SGD",
            "weight_decay": 0.0,
            "parameters": 1000,
            "trainable": 1000,
        }
        self.more: dict[str, tuple[Array, Array, tuple[str, ...]]] = {}
        self.each("overshoot", self._noisy(np.full(len(DUE), 1.0), 0.4))
        self.each("answer_spread", self._around(0.5, len(DUE)))

    def _around(self, size: float, n: int) -> Array:
        return size * self.rng.uniform(0.5, 2.0, n)

    def _noisy(self, x: Array, share: float) -> Array:
        return x * np.exp(share * self.rng.normal(size=x.shape))

    def each(self, name: str, values: Array, layers: tuple[str, ...] = ()) -> None:
        """One more signal of the due rows."""
        self.more[name] = (DUE.astype(float), values, layers)

    def does_not_learn(self) -> None:
        """The loss stays at that of guessing."""
        self.loss = self._noisy(np.full(N, TRIVIAL), 0.02)

    def signals(self) -> Signals:
        """What a recorder would have kept."""

        def total(x: Array) -> Array:
            return np.asarray(np.linalg.norm(x, axis=1))

        series = {
            "loss": Series(np.arange(N), self.loss),
            "learning_rate": Series(np.arange(N), np.full(N, self.rate)),
            "output_grad": Series(DUE, self.d, MODULES),
        }
        for name, x in (("weight", self.w), ("grad", self.g), ("update", self.u)):
            series[f"{name}_norm"] = Series(DUE, x, MATRICES)
            series[f"total_{name}_norm"] = Series(DUE, total(x))
        series |= {k: Series(t.astype(int), x, layers) for k, (t, x, layers) in self.more.items()}
        return Signals(series, self.facts)


def findings(
    rule: Rule, signals: Signals, facts: Mapping[str, float | int | str] | None = None
) -> list[Finding]:
    if any(name not in signals or len(signals[name]) < rows for name, rows in rule.needs.items()):
        return []
    return list(rule.check(signals, {**signals.facts, **(facts or {})}))


def grave(rule: Rule, training: Training) -> list[Finding]:
    return [f for f in findings(rule, training.signals()) if f.severity > Severity.INFO]


def only(rule: Rule, training: Training) -> Finding:
    (finding,) = grave(rule, training)
    assert finding.kind == rule.name
    assert finding.severity is Severity.WARNING  # only what follows from it can make it fatal
    assert not finding.cause[0].isupper()
    assert not finding.cause.endswith(".") and not finding.remedy.endswith(".")
    return finding


def add_up(t: Training, like: float, resets: bool = False, growth: float = 1.0) -> None:
    """Real sums of random vectors of 300 numbers that share a part: `like` is their mean cosine."""
    common = t.rng.normal(size=300)
    single = [np.sqrt(like) * common + np.sqrt(1 - like) * t.rng.normal(size=300) for _ in range(40)]
    single = [growth**i * g for i, g in enumerate(single)]
    seen = single if resets else list(np.cumsum(single, axis=0))
    due = [0, 1, 2, 4, 8, 12, 16, 24, 32]
    t.more["total_grad_norm"] = (np.array(due, float), np.array([np.linalg.norm(seen[i]) for i in due]), ())
    pairs = np.array([1, 2, 3, 5, 9, 13, 17, 25, 33])
    t.more["grad_dot"] = (pairs.astype(float), np.array([seen[i - 1] @ seen[i] for i in pairs]), ())
    squares = [(seen[i - 1] @ seen[i - 1] + seen[i] @ seen[i]) / 2 for i in pairs]
    t.more["grad_square"] = (pairs.astype(float), np.array(squares), ())


def masked(t: Training, spread: float, angle: float) -> None:
    t.each("rotation", t._noisy(np.full((len(DUE), 2), angle), 0.2), MATRICES[:2])
    t.each("output_spread", t._noisy(np.full((len(DUE), len(MODULES)), spread), 0.2), MODULES)


def fall(t: Training, factor: float) -> None:
    t.d = t.d * factor ** np.arange(len(MODULES) - 1, -1, -1)


def shrink(t: Training) -> None:
    t.does_not_learn()
    t.w *= np.geomspace(1, 1e-3, len(DUE))[:, None]


def too_long_steps(t: Training) -> None:
    t.does_not_learn()
    t.rate = 0.3
    t.u = t.w * t._noisy(np.full(t.u.shape, 0.6), 0.2)
