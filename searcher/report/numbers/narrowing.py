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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from searcher.fronts import losses_of
from searcher.pareto import places
from searcher.report.numbers.failures import FAILURES
from searcher.report.numbers.objective import Numbers, objectives, ranks
from searcher.report.numbers.scales import Column, Mask, Scale, columns_of, number_text
from searcher.report.observations import Condition, Number, Region, Value
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
    """Which trials were good, by each of `SHARES`, and which failed; the regions of failure, and the trials
    inside each of them."""

    levels: tuple[Mask, ...]
    failed: Mask
    regions: tuple[Region, ...] = ()
    inside: tuple[Mask, ...] = ()

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


@dataclass(frozen=True)
class FailingEnd:
    """A bound beyond which trials fail, the trials beyond it, and the rule that says so; `is_whole` where
    that holds for all that lies beyond, not for a part of it alone."""

    bound: Number
    beyond: Mask
    region: Region
    is_whole: bool


def evidence_of(spec: StudySpec, results: Sequence[TrialResult], regions: Sequence[Region] = ()) -> Evidence:
    """The good trials among those that did not fail, with all that are equal to the last of them."""
    failed = np.array([result.outcome in FAILURES for result in results], dtype=bool)
    values = objectives(spec, results)
    can = ~failed & np.isfinite(values)
    if spec.is_several:
        can &= np.array([bool(result.objectives) for result in results], dtype=bool)
    levels = []
    for share in SHARES:
        good = np.zeros(len(results), dtype=bool)
        if can.any():
            rank = _ranks(spec, results, values, can)
            wanted = max(round(share * len(rank)), min(FEWEST_GOOD, len(rank)))
            good[can] = rank >= np.sort(rank)[-wanted]
        levels.append(good)
    rules = tuple(region for region in regions if region.conditions)
    columns = {column.name: column for column in columns_of(spec, results)}
    return Evidence(tuple(levels), failed, rules, tuple(_inside(columns, region) for region in rules))


def _ranks(spec: StudySpec, results: Sequence[TrialResult], values: Numbers, can: Mask) -> Numbers:
    """The ranks of the trials that `can` be good; with several objectives by how many others dominate
    them.
    """
    if not spec.is_several:
        return ranks(spec, values[can])
    chosen = [result for result, there in zip(results, can, strict=True) if there]
    return -places(losses_of(spec.metrics, chosen)).astype(np.float64)


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


def failing_ends(column: Column, known: Evidence, side: str) -> list[FailingEnd]:
    """The bounds beyond which trials fail, by the rules for failures. Half of a rule of two conditions is one
    only if what lies beyond it fails, or has no good trial, where the other condition is not met, too."""
    return [end for end in _rule_ends(column, known, side) if end.is_whole]


def _rule_ends(column: Column, known: Evidence, side: str) -> list[FailingEnd]:
    word = "at most" if side == "low" else "above"
    found = []
    for region, inside in zip(known.regions, known.inside, strict=True):
        for condition in region.conditions:
            bound = condition.value
            if condition.setting == column.name and condition.word == word and not isinstance(bound, tuple):
                beyond = _meets(column, condition)
                is_whole = len(region.conditions) == 1 or _fails_too(column, known, beyond & ~inside)
                found.append(FailingEnd(bound, beyond, region, is_whole))
    return found


def _fails_too(column: Column, known: Evidence, rest: Mask) -> bool:
    """Whether trials mostly fail, or are without good ones by more than chance."""
    n = int(rest.sum())
    if n >= FEWEST_FAILED and 2 * int((rest & known.failed).sum()) > n:
        return True
    return any(
        not (level & rest).any()
        and none_of(n, int(column.active.sum()), int((level & column.active).sum())) <= CHANCE
        for level in known.levels
    )


def _inside(columns: Mapping[str, Column], region: Region) -> Mask:
    return reduce(np.logical_and, (_meets(columns[c.setting], c) for c in region.conditions))


def _meets(column: Column, condition: Condition) -> Mask:
    """The trials that meet a condition; none where the setting is inactive."""
    if isinstance(condition.value, tuple):
        kinds = {(type(value), value) for value in condition.value}
        return np.array([(type(value), value) in kinds for value in column.values()], dtype=bool)
    assert column.scale is not None, "only ranges have bounds"
    with np.errstate(invalid="ignore"):
        above = column.places > column.scale.place(condition.value)
    return column.active & (above if condition.word == "above" else ~above)


def _end(column: Column, scale: Scale, known: Evidence, side: str) -> tuple[Number | None, str]:
    """The new end of a range on one side, and why; None where it stays. Of several the tightest is kept."""
    sign = 1 if side == "low" else -1
    failing, good = _failing_end(column, scale, known, side), _good_end(column, scale, known, side)
    found = sorted((end for end in (failing, good) if end), key=lambda end: -sign * end[0])
    if not found:
        return None, ""
    reasons = [reason for _, reason in found]
    if failing is None:  # what fails in a part of what is left out is told as well
        part = (end for end in _rule_ends(column, known, side) if sign * (found[0][0] - end.bound) >= 0)
        reasons += [end.region.text for end in part]
    return found[0][0], "; ".join(reasons)


def _good_end(column: Column, scale: Scale, known: Evidence, side: str) -> tuple[Number, str] | None:
    """The bound beyond which there is no good trial, by more than chance."""
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
    return None


def _none_good(which: str, good: Mask, there: Mask, p: float) -> str:
    return (
        f"none of the {which} is among the best {good.sum()} of {there.sum()} (chance alone: {_percent(p)})"
    )


def _failing_end(column: Column, scale: Scale, known: Evidence, side: str) -> tuple[Number, str] | None:
    """The tightest bound beyond which trials fail, where no good trial lies beyond it."""
    ends = [
        (_inner_end(scale, end.bound, side), end)
        for end in failing_ends(column, known, side)
        if not (known.good & end.beyond).any() and end.beyond.sum() < column.active.sum()
    ]
    if not ends:
        return None
    bound, end = (max if side == "low" else min)(ends, key=lambda one: one[0])
    return bound, f"{end.region.text}, and no good trial lies there"


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


def _inner_end(scale: Scale, bound: Number, side: str) -> Number:
    """The last value before trials fail: `above` a bound on the high side, up to it on the low side."""
    if scale.values is None:
        return bound
    steps = math.floor(scale.steps_to(bound))
    return scale.on_grid(steps + 1 if side == "low" else steps)


def _round_end(scale: Scale, u: float, is_low: bool) -> Number:
    """An end of a range in two significant digits, or on a step, rounded away from what is kept."""
    value = scale.value(u)
    if scale.values is not None:
        steps = scale.steps_to(value)
        return scale.on_grid(math.floor(steps) if is_low else math.ceil(steps))
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 1.0
    whole = math.floor(value / unit + 1e-9) if is_low else math.ceil(value / unit - 1e-9)
    return float(f"{whole * unit:.12g}")


def _percent(p: float) -> str:
    return "less than 0.1 %" if p < 0.001 else f"{100 * p:.2g} %"
