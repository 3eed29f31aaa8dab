"""A step that is too long for the loss it walks on, in a training that suffers from it.

What speaks for it, and its notation, is in `diagnostics/evidence/strides.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.rows import finite, typical
from diagnostics.evidence.steps import EARLY, lower_rate, rate_at
from diagnostics.evidence.strides import (
    FAINT,
    LARGE,
    LOST,
    PAIRS,
    PAST,
    ROSE,
    UNTOLD,
    VIOLENT,
    Signs,
    has_even_steps,
    renews_weights,
    signs_of,
)
from diagnostics.evidence.suffering import hampered, learns_well, sibling_loss
from diagnostics.evidence.words import of_weights, outcome, short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

WHOLE = 1.0
"""Update ratio of one step that throws away all there was: it costs even a training that learns after it."""

BRISK = 0.05
"""Update ratio that is fifty times the usual: what a training that stays at guessing most likely suffers
from, where the optimizer makes steps of its own length (house rule)."""

FAR = 10.0
"""Times its level to which the loss must have risen at once to be judged before anything else is known."""

SOUND = 3.0
"""Times the trivial predictor's loss up to which a first loss is no fault of the start (DIAGNOSES.md)."""

UP, STAYS = 1.2, 1.03
"""Times its level that an early and a present loss must be to be more than no learning (house rule: who
learns nothing, but does no harm, stays at its level)."""

USUAL = "0.1 % is usual"


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A long step and a training that suffers from it."""
    state = standing(signals, facts)
    signs = signs_of(signals, state)
    measured = not math.isnan(signs.peak)
    if not state.known and not signs.risen > FAR:
        return
    if _began_far(signals, state):
        if _targets_are_far(signals, facts, state):
            if not signs.by_course:
                return  # weights must grow to reach such targets, and large updates are right
        elif not renews_weights(signals, facts):
            return  # the start was far off, unless the first steps left nothing of it
    if not _explains(signals, facts, state, signs) and (measured or not _above(state, signs)):
        return
    rate = rate_at(signals, facts, signs.step)
    evidence = {
        "update_ratio": signs.early,
        "largest_update_ratio": signs.peak,
        "overshoot": signs.overshoot,
        "early_rise": signs.risen,
        "lost_again": signs.lost,
        "learning_rate": rate,
        "loss_now": state.now,
    }
    evidence = {name: value for name, value in evidence.items() if not math.isnan(value)}
    cause = _cause(state, signs, measured)
    yield Finding(
        "learning-rate-too-high", Severity.WARNING, signs.step, evidence, cause, _remedy(rate, signs)
    )


def _explains(signals: Signals, facts: Facts, state: Standing, signs: Signs) -> bool:
    """Whether the signs are strong enough for how much the training suffers."""
    by_size = signs.by_size and not _began_faintly(signals)
    if not state.known:
        return by_size and state.now > FAR * signs.level
    if not math.isfinite(state.now):
        return (by_size or signs.by_course) and not _fell_away(signals)
    if state.worse:
        above = state.now > signs.level  # and not only on its way down from a first loss that was higher
        return signs.by_course or (above and (by_size or signs.peak > LARGE))
    lasting = signs.late > LARGE
    if state.stuck:
        bad = state.now > STAYS * state.trivial
        brisk = signs.early > BRISK and has_even_steps(facts) and not _began_faintly(signals)
        return (by_size and (bad or signs.peak > VIOLENT)) or lasting or signs.by_course or brisk
    if signs.lost > LOST and by_size:
        return True
    if hampered(state, sibling_loss(facts)):
        return (by_size and signs.peak > VIOLENT) or lasting or signs.by_course
    return by_size and signs.peak > WHOLE and not learns_well(state)


def _above(state: Standing, signs: Signs) -> bool:
    """Whether the loss alone says it: it is worse, or went up at once and stayed above doing nothing."""
    if state.worse:
        return math.isfinite(state.now)
    return state.stuck and signs.risen > UP and state.now > STAYS * signs.level


def _began_far(signals: Signals, state: Standing) -> bool:
    """Whether the first loss, before any step, was already far above the trivial predictor's."""
    first = float(signals["loss"].values[0])
    return not math.isfinite(first) or (state.trivial > 0 and first > SOUND * state.trivial)


def _targets_are_far(signals: Signals, facts: Facts, state: Standing) -> bool:
    """Whether that is because the targets of a regression are far off, and not the answers."""
    if facts.get("task") != "regression" or "answer_spread" not in signals:
        return False
    spread = float(signals["answer_spread"].values[0])
    return spread * spread <= SOUND * state.trivial


def _fell_away(signals: Signals) -> bool:
    """Whether the loss was on its way to minus infinity when it broke."""
    return typical(finite(signals["loss"].values)[-PAIRS:]) < min(0.0, float(signals["loss"].values[0]))


def _began_faintly(signals: Signals) -> bool:
    """Whether all first answers were nearly the same; of a batch of one, nobody knows."""
    if "answer_spread" not in signals:
        return False
    alone = "batch_size" in signals and signals["batch_size"].values[0] <= 1
    return not alone and float(signals["answer_spread"].values[0]) < FAINT


def _cause(state: Standing, signs: Signs, measured: bool) -> str:
    seen = []
    if signs.early > LARGE:
        seen.append(f"updates were {of_weights(signs.early)} in the first {EARLY} steps ({USUAL})")
    if signs.peak > VIOLENT and not signs.peak < 2 * signs.early:
        usual = "" if seen else f" ({USUAL})"
        seen.append(f"one update was {of_weights(signs.peak)}{usual}")
    if signs.overshoot > PAST:
        seen.append(f"steps overshot: {short(signs.overshoot)}, where 2 leaves the loss as it was")
    if signs.risen > ROSE:
        how = f"to {short(signs.risen)} times its level" if signs.risen < UNTOLD else "beyond all measure"
        seen.append(f"the loss rose {how} within {EARLY} steps")
    if signs.lost > LOST:
        since = f" from step {signs.lost_at} on" if signs.lost_at is not None else ""
        seen.append(f"the loss came down to {state.best:.4g} and went up again{since}")
    if not seen:
        what = f"updates went up to {of_weights(signs.peak)} ({USUAL})"
        seen.append(what if measured else f"the loss left {state.best:.4g} upwards")
    likely = "" if measured else "; without measured updates this is the likely cause, not a sure one"
    return f"{', '.join(seen)}; {outcome(state)}{likely}"


def _remedy(rate: float, signs: Signs) -> str:
    if not math.isfinite(rate):
        return "lower learning_rate by a factor of 10, or let it grow slowly (warmup_epochs)"
    typical_r = signs.early if signs.early > LARGE else math.nan
    hints = [typical_r, signs.peak / 3 if signs.peak > VIOLENT else math.nan, signs.overshoot / 20]
    known = [value for value in hints if math.isfinite(value)]
    target = lower_rate(rate, max(known) if known else LARGE)
    lower = f"lower learning_rate from {short(rate)} to about {short(target)}"
    return f"{lower}, or let it grow slowly (warmup_epochs)"


RULE = Rule(
    name="learning-rate-too-high",
    needs={"loss": 2},
    check=check,
    source="Cohen et al. (2021) for the overshoot; Karpathy's usual ratio of 1e-3; house rule for the rest",
)
