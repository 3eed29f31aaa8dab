"""What earlier trials say about the memory that a trial will need. Pure.

Notation
    b       samples that go through the model at once
    peak    most memory in use, in MB: about fixed + slope * b
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from diagnostics import Severity
from searcher.trial import Outcome, TrialResult
from trainers.config import SETTINGS

SHAPING = (
    *("data", "target", "task", "max_samples", "image_size", "sequence_length", "augmentation"),
    *("model", "width", "depth", "channels", "pooling", "activation", "norm", "norm_groups"),
    *("dropout_kind", "dropout_block", "optimizer", "precision", "channels_last", "compile"),
)
"""Settings of which each value needs another memory; so does every setting of own code."""

SWITCHES = ("dropout", "momentum", "l1", "clip_norm", "ema_decay", "label_smoothing", "checkpoint")
"""Settings of which it only matters whether they are on."""

KIND = "out-of-memory"

Signature = tuple[tuple[str, str], ...]
"""Names and values of settings."""


def predicted_micro_batch(settings: Mapping[str, Any], results: Iterable[TrialResult]) -> int | None:
    """With how many samples at once a trial should begin, so that it need not run out of memory first.

    None when it will fit at once, as far as is known: no trial like it (same signature, any batch size) ran
    out of memory, or one with as large a batch did not. Else the most samples at once that such a trial was
    trained with; 1 when none could be trained at all.
    """
    alike = _alike(settings, results)
    batch = int(settings.get("batch_size", 0))
    if not any(_ran_out(result) for result in alike):
        return None
    fitting = [at_once for result in alike if not _is_lost(result) and (at_once := _at_once(result))]
    most = max(fitting, default=1)
    return most if batch > most else None


def predicted_peak_mb(settings: Mapping[str, Any], results: Iterable[TrialResult]) -> float | None:
    """The most memory, in MB, that a trial will use, from trials like it; None when nothing is known.

    With as many samples at once: the largest peak of such trials. Of several sizes: on the line through their
    peaks. Of one size: from above, in proportion to a larger size, and no less for a smaller one.
    """
    alike = _alike(settings, results)
    peaks: dict[int, float] = {}
    for result in alike:
        peak, at_once = _number(result.facts.get("peak_memory_mb")), _at_once(result)
        if peak > 0 and at_once and not _is_lost(result):
            peaks[at_once] = max(peak, peaks.get(at_once, 0.0))
    wanted = predicted_micro_batch(settings, alike) or int(settings.get("batch_size", 0))
    if not peaks or wanted <= 0:
        return None
    if wanted in peaks:
        return peaks[wanted]
    if len(peaks) == 1:
        ((at_once, peak),) = peaks.items()
        return peak * max(1.0, wanted / at_once)
    slope, fixed = np.polyfit(list(peaks), list(peaks.values()), 1)
    return max(float(fixed + slope * wanted), 0.0) if slope > 0 else max(peaks.values())


def signature(settings: Mapping[str, Any]) -> Signature:
    """What of the settings matters to the memory, but for the batch size: names and values, in order."""
    shaping = {name: value for name, value in settings.items() if name in SHAPING or name not in SETTINGS}
    switches = {name: bool(settings.get(name)) for name in SWITCHES}
    return tuple(sorted((name, repr(value)) for name, value in {**shaping, **switches}.items()))


def _alike(settings: Mapping[str, Any], results: Iterable[TrialResult]) -> list[TrialResult]:
    wanted = signature(settings)
    return [result for result in results if signature(result.settings) == wanted]


def _ran_out(result: TrialResult) -> bool:
    return "out_of_memory_step" in result.facts or _is_lost(result)


def _is_lost(result: TrialResult) -> bool:
    """Whether not even one sample at once could be trained."""
    fatal = (f for f in result.report.findings if f.severity is Severity.FATAL)
    return result.outcome is Outcome.DOOMED and any(finding.kind == KIND for finding in fatal)


def _at_once(result: TrialResult) -> int:
    """How many samples went through the model at once; 0 while nobody knows, before the first evaluation."""
    if "peak_memory_mb" not in result.facts:
        return 0
    known = (
        result.facts.get("micro_batch"),
        result.facts.get("batch_size"),
        result.settings.get("batch_size"),
    )
    return int(next((number for value in known if (number := _number(value)) > 0), 0))


def _number(value: object) -> float:
    """A fact as a number; 0 for none."""
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else 0.0
