"""What the evidence of a study says about each range: where to look next, and why.

Notation
    N       trials that had the setting
    K       good ones among them: the best quarter, or the better half, of those that did not fail
    n       trials beyond a bound, or with a choice
    p       chance that n trials drawn from N hold none of the K good ones (hypergeometric)
    u       place in a range, see `searcher/report/numbers/scales.py`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searcher.report.numbers.failures import FAILURES
from searcher.report.numbers.objective import objectives, ranks
from searcher.report.numbers.scales import Column, Mask, Scale, number_text
from searcher.report.observations import Number, Region, Value
from searcher.report.words import significant
from searcher.spec import StudySpec
from searcher.trial import TrialResult

HEALTHY = 10
"""Trials that did not fail from which on ranges are narrowed (house rule: a best quarter of three)."""

SHARES, FEWEST_GOOD = (0.25, 0.5), 3
"""Shares of the trials that did not fail which count as good, and how many at least: the best quarter says
more closely where to look, the better half says it of fewer trials."""

CHANCE = 0.05
"""Chance below which a part of a range without good trials is left out, split among the choices of a setting.
House rule: where the objective is chance, one of ten ranges is narrowed, and what is lost then is a part in
which no good trial lay."""

MARGIN = 0.05
"""Share of the range that is kept beyond the outermost good trial (house rule)."""

WORTH = 0.05
"""Share of the range that a narrowing must take away (house rule)."""

FEWEST_FAILED = 3
"""Trials with a choice, all failed, from which on it can be dropped for that."""


@dataclass(frozen=True)
class Evidence:
    """Which trials were good, by each of `SHARES`, and which failed."""

    levels: tuple[Mask, ...]
    failed: Mask
    regions: tuple[Region, ...] = ()

    @property
    def good(self) -> Mask:
        """The best ones."""
        return self.levels[0]

    @property
    def healthy(self) -> int:
        """Trials that did not fail."""
        return int((~self.failed).sum())

    @property
    def is_enough(self) -> bool:
        """Whether ranges may be narrowed on it."""
        return self.healthy >= HEALTHY


@dataclass(frozen=True)
class Narrowed:
    """What to keep of a range: its ends (None: as they were), or the choices; and why."""

    low: Number | None = None
    high: Number | None = None
    choices: tuple[Value, ...] = ()
    reasons: tuple[str, ...] = ()


def evidence_of(spec: StudySpec, results: Sequence[TrialResult], regions: Sequence[Region] = ()) -> Evidence:
    """The good trials among those that did not fail, with all that are equal to the last of them."""
    failed = np.array([result.outcome in FAILURES for result in results], dtype=bool)
    values = objectives(spec, results)
    can = ~failed & np.isfinite(values)
    levels = []
    for share in SHARES:
        good = np.zeros(len(results), dtype=bool)
        if can.any():
            rank = ranks(spec, values[can])
            wanted = max(round(share * len(rank)), min(FEWEST_GOOD, len(rank)))
            good[can] = rank >= np.sort(rank)[-wanted]
        levels.append(good)
    return Evidence(tuple(levels), failed, tuple(region for region in regions if region.conditions))


def narrowed(column: Column, known: Evidence) -> Narrowed:
    """The part of a setting's range in which good trials lie, where the rest is there by more than chance."""
    if not known.is_enough or not (known.good & column.active).any():
        return Narrowed()
    if column.scale is None:
        return _choices(column, known)
    ends = {side: _end(column, column.scale, known, side) for side in ("low", "high")}
    reasons = tuple(reason for _, reason in ends.values() if reason)
    return Narrowed(ends["low"][0], ends["high"][0], reasons=reasons)


def none_of(trials: int, of: int, good: int) -> float:
    """`p`."""
    if trials + good > of:
        return 0.0
    return math.comb(of - trials, good) / math.comb(of, good)


def at_least(hits: int, trials: int, of: int, good: int) -> float:
    """The chance that so many trials, drawn from so many, hold at least `hits` of the good ones."""
    ways = (math.comb(good, k) * math.comb(of - good, trials - k) for k in range(hits, min(good, trials) + 1))
    return sum(ways) / math.comb(of, trials)


def _end(column: Column, scale: Scale, known: Evidence, side: str) -> tuple[Number | None, str]:
    """The new end of a range on one side, and why; None where it stays."""
    failing = _failing_end(column, scale, known, side)
    if failing is not None:
        return failing
    is_low, there = side == "low", column.active
    u = column.places if is_low else 1 - column.places
    for level in known.levels:
        good = level & there
        outermost = float(u[good].min())
        beyond = int((u[there] < outermost).sum())
        p = none_of(beyond, int(there.sum()), int(good.sum()))
        kept = outermost - MARGIN
        if p <= CHANCE and kept >= WORTH:
            edge = number_text(significant(scale.value(outermost if is_low else 1 - outermost), 3))
            where = f"{beyond} trials {'below' if is_low else 'above'} {edge}"
            end = _round_end(scale, kept if is_low else 1 - kept, is_low)
            return end, _none_good(where, good, there, p)
    return None, ""


def _none_good(which: str, good: Mask, there: Mask, p: float) -> str:
    return (
        f"none of the {which} is among the best {good.sum()} of {there.sum()} (chance alone: {_percent(p)})"
    )


def _failing_end(column: Column, scale: Scale, known: Evidence, side: str) -> tuple[Number, str] | None:
    """The bound beyond which trials fail, where no good trial lies beyond it."""
    word = "at most" if side == "low" else "above"
    for region in known.regions:
        for condition in region.conditions:
            bound = condition.value
            if condition.setting != column.name or condition.word != word or isinstance(bound, tuple):
                continue
            with np.errstate(invalid="ignore"):
                above = column.places > scale.place(bound) + 1e-9
            beyond = column.active & (above if side == "high" else ~above)
            if not (known.good & beyond).any() and beyond.sum() < column.active.sum():
                end = bound + 1 if scale.whole and side == "low" else bound
                return end, f"{region.text}, and no good trial lies there"
    return None


def _choices(column: Column, known: Evidence) -> Narrowed:
    """The choices without those that are clearly worse, or always failed."""
    kept, reasons = [], []
    for k, choice in enumerate(column.choices):
        reason = _against(column, known, column.active & (column.places == k), str(choice))
        if reason:
            reasons.append(reason)
        else:
            kept.append(choice)
    return Narrowed(choices=tuple(kept), reasons=tuple(reasons)) if reasons and kept else Narrowed()


def _against(column: Column, known: Evidence, own: Mask, choice: str) -> str:
    """Why a choice should go; empty when it may stay."""
    there = column.active
    n, of, allowed = int(own.sum()), int(there.sum()), CHANCE / len(column.choices)
    if n >= FEWEST_FAILED and not (own & ~known.failed).any():
        luck = none_of(n, of, int((there & ~known.failed).sum()))
        if luck <= allowed:
            return f"all {n} trials with {choice} failed"
    for level in known.levels:
        good = level & there
        p = none_of(n, of, int(good.sum()))
        if n and not (good & own).any() and p <= allowed:
            return _none_good(f"{n} trials with {choice}", good, there, p)
    return ""


def _round_end(scale: Scale, u: float, is_low: bool) -> Number:
    """An end of a range in two significant digits, rounded away from what is kept."""
    value = scale.value(u)
    if scale.whole:
        return math.floor(value) if is_low else math.ceil(value)
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 1.0
    whole = math.floor(value / unit + 1e-9) if is_low else math.ceil(value / unit - 1e-9)
    return float(f"{whole * unit:.12g}")


def _percent(p: float) -> str:
    return "less than 0.1 %" if p < 0.001 else f"{100 * p:.2g} %"
