"""What stands in the record of a study and of a trial: plain names and values, no MLflow."""

from __future__ import annotations

import getpass
from typing import Any

from diagnostics.causes import flatten
from diagnostics.report import to_markdown
from searcher.policy import first_cause
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult


def source_tags() -> dict[str, str]:
    """Who made a run, as MLflow's pages show it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return {"mlflow.user": user, "mlflow.source.name": "searcher", "mlflow.source.type": "LOCAL"}


def study_params(spec: StudySpec) -> dict[str, Any]:
    """What the study is, and stays: its fixed settings, its metric, its space and its seed."""
    space = {f"space.{name}": s.model_dump(exclude_defaults=True) for name, s in spec.space.items()}
    metric = {"metric": spec.metric.name, "goal": spec.metric.goal}
    return {**metric, **spec.train, **space, "search.seed": spec.search.seed}


def search_tags(spec: StudySpec) -> dict[str, Any]:
    """How the study searches: its sampler, its pruner and its budgets."""
    return {f"search.{name}": value for name, value in spec.search.model_dump().items() if name != "seed"}


def trial_params(spec: StudySpec, result: TrialResult) -> dict[str, Any]:
    """The settings the study file names: sampled, switched off (with their defaults) and fixed ones."""
    named = [*spec.space, *(name for name in spec.fixed if name not in spec.space)]
    return {name: result.settings[name] for name in named if name in result.settings}


def once_per_run(result: TrialResult) -> dict[str, float]:
    """Finite numbers that can be axes."""
    facts = result.facts
    numbers: dict[str, Any] = {
        "trial": result.number,
        "objective": result.value,
        "verdict_code": result.verdict.code,
        "epochs_used": result.epochs,
        "seconds": result.seconds,
        "step_time": facts.get("step_seconds"),
        "peak_memory_mb": facts.get("peak_memory_mb"),
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}


def result_note(result: TrialResult) -> str:
    """What a person wants to know of a trial first: how it ended, what it reached, the diagnosis."""
    ended = f": {result.reason.splitlines()[0]}" if result.reason else ""
    lines = [f"**{result.outcome}** after {result.epochs:.3g} epochs{ended}", ""]
    if result.best is not None:
        reached = ", ".join(f"{name} {value:.4g}" for name, value in result.best.metrics.items())
        lines += [f"At its best evaluation, epoch {result.best.epoch:.3g}: {reached}", ""]
    if "trivial_loss" in result.facts:
        lines += [f"A constant answer has a loss of {float(result.facts['trivial_loss']):.4g}.", ""]
    return "\n".join(lines) + "\nDiagnosis: " + to_markdown(result.report)


def result_tags(result: TrialResult) -> dict[str, str]:
    """What became of a trial, to filter and group by."""
    tags = {
        "verdict": result.verdict.value,
        "outcome": result.outcome.value,
        "mlflow.note.content": result_note(result),
        "inactive": ", ".join(result.inactive) or "none",
    }
    tags |= {f"finding.{found.kind}": found.severity.word for found in flatten(result.report.findings)}
    if (cause := first_cause(result.report.findings)) is not None:
        tags["first_cause"] = cause.kind
    if result.reason:
        tags["reason"] = result.reason
    if result.outcome is Outcome.FAILED:
        tags["cause"] = result.reason
    if result.attempts:
        tags["attempts"] = "; ".join(result.attempts)
    return tags
