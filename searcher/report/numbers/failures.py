"""Section 4 of a report: where failures live. Rates over every setting's range, and the rules behind them.

Notation
    p       share of the trials in a bin that have the finding
    n       trials in the bin
    z       score of the interval around p
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from diagnostics import Severity
from diagnostics.causes import RANK, flatten
from diagnostics.evidence.words import short
from searcher.report.numbers.regions import ANY, did, regions
from searcher.report.numbers.scales import Column, Mask, Scale, columns_of
from searcher.report.observations import Bin, FailureMap, Rates
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult

BINS = 5
"""Parts of a range, equally wide on its own scale (house rule: a dozen of 60 trials in each)."""

VALUES = 8
"""Whole numbers in a range up to which each gets a bin of its own."""

FEWEST = 2
"""Trials with a finding from which on its rates are shown: one trial has no rate."""

Z = 1.96
"""Score of a two-sided interval of 95 %."""

FAILURES = (Outcome.DOOMED, Outcome.FAILED)
"""Ends that are failures; being pruned for standing behind others is none."""


def failure_map(spec: StudySpec, results: Sequence[TrialResult]) -> FailureMap:
    """The rate of every finding over every setting, and the simplest rules that tell sick from healthy."""
    columns = columns_of(spec, results)
    found, same = _distinct(sick_by_kind(results))
    rates = [
        Rates(kind, column.name, bins_of(column, sick))
        for kind, sick in found.items()
        if sick.sum() >= FEWEST
        for column in columns
        if column.active.any()
    ]
    rules = [
        region
        for kind, sick in found.items()
        if sick.sum() >= FEWEST
        for region in regions(kind, columns, sick, spec)
    ]
    return FailureMap(tuple(rates), tuple(rules), _note(results, found, same))


def sick_by_kind(results: Sequence[TrialResult]) -> dict[str, Mask]:
    """For any failure and for every finding of at least a warning the trials that have it: any failure
    first, then the most frequent, of equally frequent ones the most upstream."""
    kinds = [kinds_of(result) for result in results]
    masks = {kind: np.array([kind in of for of in kinds], dtype=bool) for kind in set().union(*kinds)}
    order = sorted(masks, key=lambda kind: (-int(masks[kind].sum()), RANK.get(kind, len(RANK)), kind))
    failed = np.array([result.outcome in FAILURES for result in results], dtype=bool)
    return {**({ANY: failed} if failed.any() else {}), **{kind: masks[kind] for kind in order}}


def kinds_of(result: TrialResult) -> frozenset[str]:
    """What a trial suffered from: the kinds found with a warning or worse, consequences among them."""
    findings = flatten(result.report.findings)
    return frozenset(finding.kind for finding in findings if finding.severity >= Severity.WARNING)


def bins_of(column: Column, sick: Mask) -> tuple[Bin, ...]:
    """The rate in every part of a setting's range, or for every choice; where the setting was active."""
    u, y = column.places[column.active], sick[column.active]
    if column.scale is None:
        return tuple(_bin(str(choice), None, None, y[u == k]) for k, choice in enumerate(column.choices))
    scale = column.scale
    if scale.whole and scale.high - scale.low < VALUES:
        values = range(int(scale.low), int(scale.high) + 1)
        near = np.rint([scale.value(place) for place in u.tolist()])
        return tuple(_bin(str(value), value, value, y[near == value]) for value in values)
    if scale.low == scale.high:
        return (_bin(short(scale.low), scale.low, scale.high, y),)
    edges = [scale.value(place) for place in np.linspace(0, 1, BINS + 1)]
    inside = np.clip((u * BINS).astype(int), 0, BINS - 1)
    return tuple(
        _bin(_label(scale, low, high), low, high, y[inside == number])
        for number, (low, high) in enumerate(pairwise(edges))
    )


def wilson(failed: int, trials: int) -> tuple[float, float]:
    """The interval of 95 % of a rate; all of it without trials.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not trials:
        return 0.0, 1.0
    p, share = failed / trials, Z * Z / trials
    middle = (p + share / 2) / (1 + share)
    half = Z / (1 + share) * math.sqrt(p * (1 - p) / trials + share / (4 * trials))
    return min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p)  # whatever was rounded


def _bin(label: str, low: float | None, high: float | None, y: Mask) -> Bin:
    trials, failed = len(y), int(y.sum())
    return Bin(label, low, high, trials, failed, failed / trials if trials else 0.0, *wilson(failed, trials))


def _label(scale: Scale, low: float, high: float) -> str:
    if scale.whole:
        return f"{math.ceil(low - 1e-9)} to {math.floor(high + 1e-9)}"
    return f"{short(low)} to {short(high)}"


def _distinct(found: Mapping[str, Mask]) -> tuple[dict[str, Mask], dict[str, str]]:
    """The kinds without those that came up in the very trials of another one; these, with the other.

    Any failure gives way to the kind that all failures have: that one says more.
    """
    known: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for kind, sick in found.items():
        before = known.setdefault(sick.tobytes(), kind)
        if before == ANY != kind:
            known[sick.tobytes()] = kind
            same[ANY] = kind
        elif before != kind:
            same[kind] = before
    return {kind: found[kind] for kind in known.values()}, same


def _note(results: Sequence[TrialResult], found: Mapping[str, Mask], same: Mapping[str, str]) -> str:
    if not results:
        return "No trial has ended yet."
    if not found:
        return f"Nothing failed: none of the {len(results)} trials has a warning or worse."
    kinds = {kind: other for kind, other in same.items() if kind != ANY}
    notes = [f"every trial that failed {did(same[ANY])}"] if ANY in same else []
    notes += [f"{kind} came up in the very trials of {other} (see there)" for kind, other in kinds.items()]
    alone = [kind for kind, sick in found.items() if sick.sum() < FEWEST]
    if alone:
        notes.append(f"in one trial only, which makes no rate: {', '.join(alone)}")
    stopped = sum(result.outcome is Outcome.PRUNED for result in results)
    if stopped:
        which = "trial was" if stopped == 1 else "trials were"
        notes.append(f"{stopped} {which} stopped early for standing behind others, which is no failure")
    return "; ".join(notes)[:1].upper() + "; ".join(notes)[1:] + ("." if notes else "")
