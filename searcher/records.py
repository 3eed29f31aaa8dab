"""A trial's result as plain data, as it stands in Optuna's store and in the trial's folder."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from diagnostics import Signals
from diagnostics.report import from_dict, to_dict
from searcher.errors import StorageError
from searcher.trial import Evaluation, Outcome, Reprieve, TrialResult
from searcher.usage import read_usage, write_usage
from searcher.vectors import Vector

SIGNALS, FINDINGS, WEIGHTS, USAGE = "signals.npz", "findings.json", "weights.pt", "usage.csv"
"""The files of a trial's folder."""

UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)
"""What reading a spoiled file of signals raises."""

REPORTS = ("report.html", "report.md", "report.json")
"""The files of a study's report, in the folder of the study."""


def report_files(runs: Path) -> list[Path]:
    """The report of a study, as far as it was written, in the folder of the study."""
    return [runs / name for name in REPORTS if (runs / name).exists()]


def trial_folder(runs: Path, number: int) -> Path:
    """Where the files of a trial lie, in the folder of its study."""
    return runs / f"{number:05d}"


def left_states(runs: Path) -> list[Path]:
    """Files of states in the folders of all trials of a study."""
    return [path for name in ("state*.pt", "said.pkl") for path in runs.glob(f"[0-9]*/{name}")]


def write_files(runs: Path, result: TrialResult) -> None:
    """Write the signals, findings and usage of a result into its trial's folder.

    Raises: StorageError when they cannot be written.
    """
    folder = trial_folder(runs, result.number)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Signals(result.signals, {**result.signals.facts, **result.facts}).save(folder / SIGNALS)
        (folder / FINDINGS).write_text(json.dumps(to_dict(result.report), indent=1), encoding="utf-8")
        if result.usage:
            write_usage(folder / USAGE, result.usage)
        else:
            (folder / USAGE).unlink(missing_ok=True)  # of an attempt before
    except OSError as error:
        raise StorageError(
            f"the files of trial {result.number} cannot be written to {folder}: {error.strerror or error}; "
            "free some disk space or name another folder with --runs, and run the same command again. "
            "What was recorded before is safe"
        ) from error


def with_signals(runs: Path, result: TrialResult) -> TrialResult:
    """The result with its signals from its trial's folder; without any when they cannot be read there."""
    try:
        return replace(result, signals=Signals.load(trial_folder(runs, result.number) / SIGNALS))
    except UNREADABLE:
        return result


def with_files(runs: Path, result: TrialResult) -> TrialResult:
    """The result with its signals and its usage, as far as they can be read in its trial's folder."""
    return with_usage(runs, with_signals(runs, result))


def with_usage(runs: Path, result: TrialResult) -> TrialResult:
    """The result with its usage from its trial's folder; without any when it cannot be read there."""
    try:
        return replace(result, usage=read_usage(trial_folder(runs, result.number) / USAGE))
    except (OSError, ValueError):
        return replace(result, usage=())


def is_readable(file: Path) -> bool:
    """Whether a file of signals can be read as a whole."""
    try:
        Signals.load(file)
    except UNREADABLE:
        return False
    return True


def to_record(result: TrialResult) -> dict[str, Any]:
    """The result without what Optuna's store holds anyway: its values, and its signals."""
    best = result.best
    return {
        "settings": dict(result.settings),
        "sampled": list(result.sampled),
        "inactive": list(result.inactive),
        "outcome": result.outcome.value,
        "value": result.value,
        "metrics": list(result.metrics),
        "best": None if best is None else [best.step, best.epoch, _finite(best.metrics)],
        "epochs": result.epochs,
        "reason": result.reason,
        "detail": result.detail,
        "report": to_dict(result.report),
        "facts": _finite(result.facts),
        "seconds": result.seconds,
        "ended_at": result.ended_at,
        "reprieves": [asdict(reprieve) for reprieve in result.reprieves],
        "constraints": dict(result.constraints),
        **({} if result.confirms is None else {"confirms": result.confirms}),
        **({"extended": result.extended} if result.extended else {}),
        **({"objectives": dict(result.objectives)} if result.objectives else {}),
    }


def result_from_record(
    number: int,
    record: Mapping[str, Any],
    values: Mapping[int, float],
    attempts: tuple[str, ...],
    vectors: Mapping[int, Vector] = MappingProxyType({}),
) -> TrialResult:
    """What `to_record` gave, as a result again."""
    best = record["best"]
    return TrialResult(
        number=number,
        settings=record["settings"],
        sampled=tuple(record["sampled"]),
        inactive=tuple(record["inactive"]),
        outcome=Outcome(record["outcome"]),
        report=from_dict(record["report"]),
        value=record["value"],
        values=values,
        metrics=tuple(record["metrics"]),
        best=None if best is None else Evaluation(best[0], best[1], best[2]),
        epochs=record["epochs"],
        reason=record["reason"],
        detail=record["detail"],
        facts=record["facts"],
        seconds=record["seconds"],
        ended_at=record["ended_at"],
        attempts=attempts,
        reprieves=tuple(Reprieve(**known) for known in record.get("reprieves", ())),  # none in old records
        constraints=record.get("constraints", {}),  # records of studies without any may lack it
        confirms=record.get("confirms"),
        extended=record.get("extended", ""),
        objectives=record.get("objectives", {}),  # of studies with several alone
        vectors=vectors,
    )


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without numbers that JSON lacks."""
    return {k: v for k, v in values.items() if not isinstance(v, float) or math.isfinite(v)}
