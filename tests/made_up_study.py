"""Made-up studies for the tests of the report: results as a store gives them, with real-looking signals.

Nothing is trained: the objective, the curves and the findings follow from the settings and a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna

from diagnostics import Finding, Report, Series, Severity, Signals, Verdict
from searcher.report.numbers.scales import scale_of
from searcher.samplers import build_sampler
from searcher.space import Point, conditions_first, distributions, point_of, suggest
from searcher.spec import Choices, StudySpec, parse_spec
from searcher.trial import Evaluation, Outcome, TrialResult

Settings = Mapping[str, Any]
Fails = Callable[[Settings], str]
"""What a training with these settings fails by: a kind of finding; an empty text when it does not fail."""

EPOCHS, PER_EPOCH = 12, 20
BEGAN = 1_780_000_000.0
EVALUATED = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
LAYERS = ("hidden1.weight", "hidden2.weight", "head.weight")
TRIVIAL = 2.3026
SPACE: Mapping[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "batch_size": [16, 32, 64, 128],
    "dropout": {"low": 0.0, "high": 0.6},
    "depth": {"low": 1, "high": 6},
    "init": ["kaiming_normal", "xavier_uniform", "orthogonal", "normal"],
    "init_std": {"low": 1e-3, "high": 1.0, "log": True, "when": {"init": "normal"}},
    "norm": ["none", "batch", "layer"],
}
REMEDY = "lower learning_rate from 0.5 to about 5e-3, or let it grow slowly (warmup_epochs)"


def cliff(settings: Settings) -> str:
    """Diverges with a large learning rate and no batch norm."""
    return "diverging" if settings["learning_rate"] > 0.1 and settings["norm"] != "batch" else ""


def never(_settings: Settings) -> str:
    """Nothing fails."""
    return ""


def made_up_study(
    trials: int,
    seed: int = 0,
    fails: Fails = cliff,
    sampler: str = "random",
    space: Mapping[str, Any] = SPACE,
    pruned: float = 0.1,
) -> tuple[StudySpec, list[TrialResult]]:
    """A study of `val_accuracy` in which trials fail where `fails` says; a share of the others is pruned."""
    spec = made_up_spec(sampler, seed, space)
    rng = np.random.default_rng([seed, 1])
    if sampler == "random":
        points = [_point(spec, rng) for _ in range(trials)]
        return spec, [
            made_up_result(number, point, fails({**spec.fixed, **point.sampled}), rng, pruned)
            for number, point in enumerate(points)
        ]
    always = {name: d for name, d in distributions(spec).items() if not spec.space[name].when}
    study = optuna.create_study(
        direction="maximize",
        sampler=build_sampler(sampler, {}, seed, distributions(spec), always),
    )
    results: list[TrialResult] = []
    for number in range(trials):
        trial = study.ask()
        point = suggest(trial, spec)
        result = made_up_result(number, point, fails({**spec.fixed, **point.sampled}), rng, pruned)
        results.append(result)
        if result.outcome is Outcome.DOOMED:
            trial.report(result.value or 0.0, 1)
            trial.set_constraint("doomed", 1.0)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, result.value)
    return spec, results


def _point(spec: StudySpec, rng: np.random.Generator) -> Point:
    """A point of the space, drawn evenly."""
    drawn: dict[str, Any] = {}
    for name in conditions_first(spec):
        setting = spec.space[name]
        if not all(drawn.get(other) in allowed for other, allowed in setting.when.items()):
            continue
        if isinstance(setting, Choices):
            drawn[name] = setting.choices[rng.integers(len(setting.choices))]
        elif setting.log:
            value = float(np.exp(rng.uniform(np.log(setting.low), np.log(setting.high))))
            drawn[name] = round(value) if scale_of(name, setting).whole else value
        elif (scale := scale_of(name, setting)).values is not None:
            drawn[name] = scale.on_grid(int(rng.integers(scale.values)))
        else:
            drawn[name] = float(rng.uniform(setting.low, setting.high))
    return point_of(drawn, spec)


def made_up_spec(sampler: str = "random", seed: int = 0, space: Mapping[str, Any] = SPACE) -> StudySpec:
    """The study file of a made-up study."""
    raw = {
        "name": "made-up",
        "question": "Which made-up settings train a made-up network best?",
        "train": {"data": "digits", "model": "mlp", "width": 64, "optimizer": "adam", "epochs": EPOCHS},
        "metric": {"name": "val_accuracy", "goal": "maximize"},
        "space": dict(space),
        "search": {"sampler": sampler, "pruner": "none", "seed": seed, "trials": 60},
    }
    return parse_spec(raw, "made-up.toml")


def made_up_result(
    number: int, point: Point, fails: str, rng: np.random.Generator, pruned: float = 0.1
) -> TrialResult:
    """One trial: doomed when it `fails`, else trained to its end or pruned."""
    settings = {"seed": 0, "data": "digits", "epochs": EPOCHS, "init_std": 0.05, **point.sampled}
    early = not fails and rng.random() < pruned
    epochs = (2.0 if fails else 4.0) if fails or early else float(EPOCHS)
    reached = quality(settings)
    signals = _signals(rng, epochs, reached, fails)
    report, outcome = _report(signals, fails, early, number), Outcome.COMPLETED
    if fails or early:
        outcome = Outcome.DOOMED if fails else Outcome.PRUNED
    accuracies = signals["val_accuracy"].values
    place = int(np.argmax(accuracies))
    at = {name: float(signals[name].values[place]) for name in EVALUATED}
    return TrialResult(
        number=number,
        settings=settings,
        sampled=tuple(point.sampled),
        inactive=point.inactive,
        outcome=outcome,
        report=report,
        value=0.1 if fails else float(accuracies[place]),
        values={i + 1: float(v) for i, v in enumerate(np.maximum.accumulate(accuracies))},
        metrics=EVALUATED,
        best=None if fails else Evaluation((place + 1) * PER_EPOCH, place + 1.0, at),
        epochs=epochs,
        reason=f"{fails} at step 7: the loss rose; remedy: {REMEDY}" if fails else "",
        signals=signals,
        facts=_facts(epochs),
        seconds=1.5 * epochs + rng.uniform(0, 0.5),
        ended_at=BEGAN + 20.0 * number,
    )


def quality(settings: Settings) -> float:
    """The accuracy that settings lead to: best near a learning rate of 0.01 with little dropout."""
    away = abs(np.log10(settings.get("learning_rate", 0.01)) + 2.0)
    norm = 0.02 if settings.get("norm") == "batch" else 0.0
    return float(0.94 + norm - 0.06 * away - 0.15 * settings.get("dropout", 0.0) ** 2)


def _facts(epochs: float) -> dict[str, float | int | str]:
    return {
        "task": "classification",
        "outputs": 10,
        "trivial_loss": TRIVIAL,
        "train_samples": 1257,
        "validation_samples": 270,
        "label_classes": 10.0,
        "data_digest": "3f3ec3678edb3ea2",
        "steps_per_epoch": PER_EPOCH,
        "total_steps": PER_EPOCH * EPOCHS,
        "epochs": EPOCHS,
        "device": "cpu",
        "parameters": 9226,
        "step_seconds": 1.5 / PER_EPOCH,
        "ended": "finished" if epochs == EPOCHS else "stopped",
    }


def _signals(rng: np.random.Generator, epochs: float, reached: float, fails: str) -> Signals:
    steps = np.arange(int(epochs * PER_EPOCH))
    ends = np.arange(PER_EPOCH - 1, len(steps), PER_EPOCH)
    floor = 3.0 * (1.0 - reached)
    level = floor + (TRIVIAL - floor) * np.exp(-steps / (1.5 * PER_EPOCH))
    if fails:
        level = TRIVIAL * np.exp(np.clip((steps - 7) / 4, 0, 5))
    loss = level * np.exp(0.05 * rng.normal(size=len(steps)))
    accuracy = np.clip(reached * (1 - np.exp(-(ends + 1) / PER_EPOCH)), 0.1, 1.0)
    accuracy = np.full(len(ends), 0.1) if fails else accuracy + 0.004 * rng.normal(size=len(ends))
    evaluated = {
        "train_loss": level[ends],
        "val_loss": level[ends] * 1.05 + 0.01 * rng.normal(size=len(ends)),
        "train_accuracy": np.clip(accuracy + 0.01, 0, 1),
        "val_accuracy": np.round(np.clip(accuracy, 0, 1) * 270) / 270,
    }
    due = np.unique(np.concatenate([[0, 1, 2, 4, 8, 16], steps[:: PER_EPOCH // 2]]))
    due = due[due < len(steps)]
    size = np.exp(0.1 * rng.normal(size=(len(due), len(LAYERS)))) * np.array([1.0, 0.8, 0.5])
    fading = (level[due] / level[0])[:, None]
    layered = {"weight_norm": 8.0 * size, "update_norm": 0.02 * size * fading, "grad_norm": size * fading}
    return Signals(
        {
            "loss": Series(steps, loss),
            "learning_rate": Series(steps, np.full(len(steps), 0.01)),
            **{name: Series(ends, values) for name, values in evaluated.items()},
            **{name: Series(due, values, LAYERS) for name, values in layered.items()},
        }
    )


def _report(signals: Signals, fails: str, early: bool, number: int) -> Report:
    statistics = {"steps": float(signals.last_step + 1), "trivial_loss": TRIVIAL}
    if fails:
        evidence = {"loss_now": 120.0, "loss_before": 2.3}
        follows = Finding("loss-spike", Severity.INFO, 9, {"height": 50.0}, "the loss jumped", "clip it")
        finding = Finding(
            *(fails, Severity.FATAL, 7, evidence, "the loss rose to 52 times its level", REMEDY),
            layers=LAYERS[:1],
            consequences=(follows,),
        )
        verdicts = {"diverging": Verdict.DIVERGED, "non-finite": Verdict.NON_FINITE}
        return Report(verdicts.get(fails, Verdict.NOT_LEARNING), (finding,), statistics)
    if early:
        return Report(Verdict.INCOMPLETE, (), statistics)
    now = float(signals["train_loss"].values[-1])
    statistics |= {"loss_now": now, "share_learnt": 0.9, "gain_of_last_half": 0.1}
    if number % 4:
        return Report(Verdict.CONVERGED, (), statistics)
    statistics |= {"forecast_1.5x": 0.9 * now, "forecast_1.5x_low": 0.8 * now, "forecast_1.5x_high": now}
    cause = "the training loss still falls: the last half of the training brought 10 % of what was learnt"
    remedy = f"train longer (epochs): 18 epochs should bring the loss to about {0.9 * now:.2g}"
    improving = Finding("still-improving", Severity.INFO, 120, {"loss_now": now}, cause, remedy)
    return Report(Verdict.IMPROVING, (improving,), statistics)
