"""What stands in the record of a study and of a trial: plain names and values, no MLflow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diagnostics import Verdict
from diagnostics.causes import flatten
from diagnostics.report import to_markdown
from searcher.colours import VERDICT_COLOUR
from searcher.feasibility import violated
from searcher.figures import STEP_TIME
from searcher.naming import repeat_text
from searcher.policy import first_cause
from searcher.records import FINDINGS, SIGNALS, USAGE, is_readable, trial_folder
from searcher.sampling import chosen
from searcher.settings import switched_off
from searcher.spec import Metric, StudySpec
from searcher.tracking.axes import (
    BEST,
    FAILURES,
    UNKNOWN_ONSET,
    curve_name,
    in_record,
    logarithms,
    value_on_axis,
)
from searcher.tracking.data_sets import digests
from searcher.tracking.objectives import further_objectives, off_front
from searcher.tracking.usage_curves import usage_curves
from searcher.trial import Outcome, TrialResult
from searcher.verify import NAMELESS, STUDY, Point, RunRecord
from trainers.config import default_of

PARENT, NUMBER, KIND = "mlflow.parentRunId", "optuna.trial_number", "searcher.kind"
CURVES = "searcher.curves"
"""The study's tag with the metrics that have curves."""

SEEDS = ("seed", "data_seed")

NOTE, COLOUR = "mlflow.note.content", "mlflow.runColor"

LONGEST_PARAM, LONGEST_TAG = 6000, 5000
"""What MLflow takes in one text."""

FINISHED = "FINISHED"

STATUS = {
    Outcome.COMPLETED: FINISHED,
    Outcome.PRUNED: "KILLED",
    Outcome.DOOMED: "KILLED",
    Outcome.INFEASIBLE: "KILLED",
    Outcome.FAILED: "FAILED",
}


def study_record(spec: StudySpec, results: Sequence[TrialResult]) -> RunRecord:
    """What the study's own run should be once the study was left."""
    devices = device_tag(device_of(result) for result in results)
    return RunRecord(
        STUDY,
        FINISHED,
        study_params(spec),
        {KIND: "study", **search_tags(spec), **seed_tags(spec), **devices},
        {},
        study_curves(spec, results),
        inputs=frozenset().union(*(digests(spec, result) for result in results)),
        shown={NOTE: first_note(spec)},
    )


def trial_record(spec: StudySpec, result: TrialResult, curves: Sequence[str], runs: Path) -> RunRecord:
    """What the run of a finished trial should be: `result` with its signals, metrics with `curves`."""
    folder = trial_folder(runs, result.number)
    files = frozenset(name for name in (SIGNALS, FINDINGS, USAGE) if (folder / name).exists())
    if not result.signals and not is_readable(folder / SIGNALS):
        files -= {SIGNALS}
    return RunRecord(
        result.number,
        STATUS[result.outcome],
        trial_params(spec, result),
        {
            KIND: "trial",
            NUMBER: str(result.number),
            **result_tags(result, curves),
            **off_front(spec, result),
        },
        {**once_per_run(result), **further_objectives(spec, result)},
        {**trial_curves(result, curves), **usage_curves(result)},
        files,
        digests(spec, result),
        shown=shown_tags(result),
        reserved=frozenset(VERDICT_COLOUR.values()),
    )


def number_of(tags: Mapping[str, str]) -> int:
    """The number of the trial whose run has these tags, NAMELESS where they do not say it."""
    text = tags.get(NUMBER, "")
    return int(text) if text.isascii() and text.isdecimal() else NAMELESS


def curves_of(tags: Mapping[str, str]) -> list[str]:
    """The metrics that have curves, by the tags of the study's run; none where these cannot be read."""
    try:
        names = json.loads(tags.get(CURVES, "[]"))
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def experiment_note(spec: StudySpec) -> str:
    """What a person reads above the runs: the question, and what colours and codes mean."""
    codes = ", ".join(f"{verdict.code} {verdict}" for verdict in Verdict)
    return (
        f"{first_note(spec)}\n\nA run has the colour of its verdict. Verdict codes: {codes}. "
        "These pages load 100 runs at a time: 'Load more' below the runs brings the rest, in the plots too."
    )


def first_note(spec: StudySpec) -> str:
    """The note of the study's run until there is a summary."""
    return spec.question or spec.name


def study_params(spec: StudySpec) -> dict[str, str]:
    """What the study is, and stays: its fixed settings, its metric, its space and its seed."""
    space = {f"space.{name}": s.model_dump(exclude_defaults=True) for name, s in spec.space.items()}
    names, goals = zip(*((metric.name, metric.goal) for metric in spec.metrics), strict=True)
    metric = {"metric": ", ".join(names), "goal": ", ".join(goals)}
    return _cut(in_record({**metric, **spec.train, **space, "search.seed": spec.search.seed}), LONGEST_PARAM)


def search_tags(spec: StudySpec) -> dict[str, str]:
    """How the study searches: its sampler, its pruner and its budgets."""
    settings = {**spec.search.model_dump(), "sampler_chosen": chosen(spec)}
    return {f"search.{name}": str(value)[:LONGEST_TAG] for name, value in settings.items() if name != "seed"}


def seed_tags(spec: StudySpec) -> dict[str, str]:
    """The seeds that all trials share, whether the study file names them or not."""
    if spec.trainer is not None:
        return {}
    names = [name for name in SEEDS if name not in spec.space]
    return {name: str(spec.fixed.get(name, default_of(name))) for name in names}


def trial_params(spec: StudySpec, result: TrialResult) -> dict[str, str]:
    """The settings the study file names: sampled, switched off and fixed ones; logarithms for axes.

    Every setting of the space has a value: where a trial has none it was switched off.
    """
    off = {name: switched_off(name) for name in spec.space if name not in result.settings}
    settings = {**off, **result.settings}
    named = [*spec.space, *(name for name in spec.fixed if name not in spec.space and name in settings)]
    values = {
        name: value_on_axis(spec.space.get(name), settings[name], name in off or name in result.inactive)
        for name in named
    }
    return _cut(in_record({**values, **logarithms(spec, settings)}), LONGEST_PARAM)


def once_per_run(result: TrialResult) -> dict[str, float]:
    """Finite numbers that can be axes: no trial lacks one, or it would be left out of the plots.

    Where a figure is not known it is 0; the onset step is that of the earliest fatal finding, -1 without.
    """
    facts, fatal = result.facts, result.report.fatal
    numbers = {
        "trial": result.number,
        "objective": result.value,
        "verdict_code": result.verdict.code,
        "epochs_used": result.epochs,
        "seconds": result.seconds,
        "step_time": facts.get(STEP_TIME, facts.get("step_seconds")),
        "peak_memory_mb": facts.get("peak_memory_mb"),
        "onset_step": UNKNOWN_ONSET if fatal is None else fatal.step,
    }
    return {name: _finite(value) for name, value in numbers.items()}


def step_in_record(row: int) -> int:
    """The optimizer steps that were done by a row of signals: rows are counted from 0."""
    return row + 1


def trial_curves(result: TrialResult, curves: Sequence[str]) -> dict[str, list[Point]]:
    """The evaluations of a trial by optimizer step: of several at a step the last one."""
    found = {}
    for name, series in result.signals.items():
        if name in result.metrics and name in curves:
            pairs = zip(series.steps, series.values, strict=True)
            points = {step_in_record(int(row)): float(value) for row, value in pairs if math.isfinite(value)}
            if points:
                found[curve_name(name)] = list(points.items())
    return found


class SoFar:
    """The study's own curves, trial by trial in the order in which they ended."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._best: float | None = None
        self._failures = 0
        self.ended = 0

    def add(self, result: TrialResult) -> dict[str, float]:
        """Take in the next trial; the figures of the study after it. A repeat changes none."""
        if result.confirms is not None:
            return {}
        self.ended += 1
        self._failures += result.outcome in (Outcome.DOOMED, Outcome.FAILED)
        figures = {FAILURES: float(self._failures)}
        if result.outcome is Outcome.COMPLETED and result.value is not None:
            if self._best is None or self._metric.is_better(result.value, self._best):
                self._best = float(result.value)
            figures[BEST] = self._best
        return figures


def study_curves(spec: StudySpec, results: Iterable[TrialResult]) -> dict[str, list[Point]]:
    """How the study went, over the number of trials that have ended."""
    so_far = SoFar(spec.metric)
    found: dict[str, list[Point]] = {}
    for result in sorted(results, key=lambda result: result.ended_at):
        for name, value in so_far.add(result).items():
            found.setdefault(name, []).append((so_far.ended, value))
    return found


def result_note(result: TrialResult) -> str:
    """What a person wants to know of a trial first: how it ended, what it reached, the diagnosis."""
    ended = f": {result.reason.splitlines()[0]}" if result.reason else ""
    let_run = (f"{reprieve.text}\n" for reprieve in result.reprieves)
    said = (repeat_text(result.confirms, result.settings), result.extended)
    again = [f"It {text}.\n" for text in said if text]
    lines = [*again, f"**{result.outcome}** after {result.epochs:.3g} epochs{ended}", "", *let_run]
    if result.best is not None:
        reached = ", ".join(f"{name} {value:.4g}" for name, value in result.best.metrics.items())
        lines += [f"At its best evaluation, epoch {result.best.epoch:.3g}: {reached}", ""]
    if "trivial_loss" in result.facts:
        lines += [f"A constant answer has a loss of {float(result.facts['trivial_loss']):.4g}.", ""]
    return "\n".join(lines) + "\nDiagnosis: " + to_markdown(result.report)


def result_tags(result: TrialResult, curves: Sequence[str]) -> dict[str, str]:
    """What became of a trial, to filter and group by."""
    tags = {
        "verdict": result.verdict.value,
        "outcome": result.outcome.value,
        "inactive": ", ".join(result.inactive) or "none",
    }
    tags |= {f"finding.{found.kind}": found.severity.word for found in flatten(result.report.findings)}
    if (cause := first_cause(result.report.findings)) is not None:
        tags["first_cause"] = cause.kind
    tags |= {reprieve.why: reprieve.text for reprieve in result.reprieves}
    tags |= {"reason": result.reason} if result.reason else {}
    tags |= {"extended": result.extended} if result.extended else {}
    if result.confirms is not None:
        tags |= {"confirms": str(result.confirms), "seed": str(result.settings.get("seed"))}
    if result.outcome is Outcome.FAILED:
        tags["cause"] = result.reason
    if broken := violated(result):
        tags["violates"] = "; ".join(broken)
    tags |= {"attempts": "; ".join(result.attempts)} if result.attempts else {}
    tags |= device_tag([device_of(result)])
    if dropped := [name for name in result.metrics if name not in curves]:
        tags["metrics_dropped"] = ", ".join(dropped)
    return _cut(tags, LONGEST_TAG)


def device_of(result: TrialResult) -> str:
    """Where a trial was trained; empty where its trainer did not say."""
    return str(result.facts.get("device", ""))


def device_tag(devices: Iterable[str]) -> dict[str, str]:
    """Where trials were trained, as far as it is known."""
    known = sorted(set(filter(None, devices)))
    return {"device": ", ".join(known)} if known else {}


def shown_tags(result: TrialResult) -> dict[str, str]:
    """How a trial looks on the pages, which a person may change there: its colour and its note."""
    return _cut({COLOUR: VERDICT_COLOUR[result.verdict], NOTE: result_note(result)}, LONGEST_TAG)


def _finite(value: Any) -> float:
    number = 0.0 if value is None else float(value)
    return number if math.isfinite(number) else 0.0


def _cut(texts: Mapping[str, str], longest: int) -> dict[str, str]:
    return {name: text[:longest] for name, text in texts.items()}
