"""Section 1 of a report: the study in one paragraph, written from its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from diagnostics import Verdict
from diagnostics.evidence.words import short
from searcher.confirming import confirmation
from searcher.feasibility import violated
from searcher.naming import chance_text
from searcher.policy import likely_cause
from searcher.report.numbers.confirmed import repeated
from searcher.report.numbers.next_space import LEFT_OUT
from searcher.report.numbers.pareto import told_front
from searcher.report.numbers.regions import ANY
from searcher.report.numbers.sureness import equals_of
from searcher.report.observations import FailureMap
from searcher.report.study_report import Best, Convergence, Headline, Next, Repeated, Spread, Trouble
from searcher.report.words import counted, listed
from searcher.spec import Choices, StudySpec
from searcher.summary import best_result, outcome_counts, sampled_of
from searcher.trial import Outcome, TrialResult, searched

WELL = (Verdict.CONVERGED, Verdict.IMPROVING)
"""Verdicts of trainings that went well."""

NAMED = 3
"""Troubles, settings and changes that are named in the paragraph (house rule: a breath)."""

UNKNOWN = "unknown reason"

NO_ILLNESS = ("still-improving",)
"""Remarks that are not what went wrong: the verdict says that better."""


def headline(
    spec: StudySpec,
    results: Sequence[TrialResult],
    spread: Spread | None,
    failures: FailureMap,
    search: Convergence,
    following: Next,
) -> Headline:
    """The paragraph and its numbers; `spread` is that of the best trial's value."""
    best, results = _best(spec, results, spread), searched(results)
    well, troubles = sum(result.verdict in WELL for result in results), _troubles(results)
    sentences = [_searched(spec, results)]
    if results:
        sentences += [
            told_front(spec, results) if spec.is_several else _told_best(spec, best, len(results)),
            _told_well(results, well),
            *_told_troubles(troubles, failures),
            _told_next(search, following, is_stuck=best is None and well == 0 and bool(troubles)),
        ]
    counts = {outcome.value: count for outcome, count in outcome_counts(results).items()}
    return Headline(" ".join(filter(None, sentences)), len(results), well, counts, best, troubles)


def _best(spec: StudySpec, results: Sequence[TrialResult], spread: Spread | None) -> Best | None:
    best = best_result(spec, results)
    if best is None or best.value is None:
        return None
    known = confirmation(spec.metric, results)
    return Best(
        trial=best.number,
        value=best.value,
        epoch=best.epochs if best.best is None else best.best.epoch,
        settings=sampled_of(best),
        spread=spread,
        equals=equals_of(spec, results, best, spread),
        repeated=None if known is None else repeated(known.named),
    )


def _troubles(results: Sequence[TrialResult]) -> tuple[Trouble, ...]:
    """What trials that did not go well suffered from, the most frequent first. A trial that was pruned
    without any finding is none of them: all that is known is that it stood behind others."""
    groups: dict[str, list[TrialResult]] = {}
    remedies: dict[str, str] = {}
    for result in sorted(results, key=lambda result: result.number):
        if result.verdict in WELL:
            continue
        cause = likely_cause(result.report)
        failed = result.outcome in (Outcome.DOOMED, Outcome.FAILED)
        if cause is None and not failed and result.verdict is Verdict.INCOMPLETE:
            continue
        reason = (result.reason.splitlines() or [UNKNOWN])[0] if failed else result.verdict.value
        kind = reason if cause is None or cause.kind in NO_ILLNESS else cause.kind
        groups.setdefault(kind, []).append(result)
        remedies.setdefault(kind, "" if cause is None else cause.remedy)
    order = sorted(groups, key=lambda kind: -len(groups[kind]))
    return tuple(Trouble(kind, tuple(r.number for r in groups[kind]), remedies[kind]) for kind in order)


def _searched(spec: StudySpec, results: Sequence[TrialResult]) -> str:
    names = [_range(spec, name) for name in spec.space]
    named, more = ", ".join(names[:NAMED]), len(names) - NAMED
    named += f" and {counted(more, 'other setting')}" if more > 0 else ""
    if not results:
        return f"No trial has ended yet. The study searches {named}."
    return f"{counted(len(results), 'trial')} searched {named}."


def _range(spec: StudySpec, name: str) -> str:
    setting = spec.space[name]
    if isinstance(setting, Choices):
        return f"{name} ({counted(len(setting.choices), 'choice')})"
    return f"{name} ({short(setting.low)} to {short(setting.high)}{', log' if setting.log else ''})"


def _told_best(spec: StudySpec, best: Best | None, trials: int) -> str:
    if best is None:
        which = "The trial was not" if trials == 1 else f"None of the {trials} trials was"
        return f"{which} trained to its end, so there is no best one."
    again = best.repeated
    if again is not None and again.mean is not None:
        text = _told_mean(spec, best, again, again.mean)
    else:
        value, sure = f"{spec.metric.name} {short(best.value)}", _told_spread(best.spread, trials)
        text = f"The best is trial {best.trial} with {value}, at epoch {short(best.epoch)}{sure}"
    text += _told_equals(best, trials)
    if again is not None and again.chance is not None:
        text += f" The chance that it is the best of those that were repeated is {chance_text(again.chance)}."
    return text


def _told_equals(best: Best, trials: int) -> str:
    """Which trials are as good within the noise, as the end of a sentence."""
    if best.equals:
        n = len(best.equals)
        are = "trial is" if n == 1 else "trials are"
        return f"; {n} other {are} equal to it within that noise ({listed(best.equals)})."
    if best.spread is not None and trials > 1:
        return "; no other trial is equal to it within that noise."
    return "." if best.spread else "; how sure that is cannot be said from so few evaluations."


def _told_mean(spec: StudySpec, best: Best, again: Repeated, mean: float) -> str:
    """What the best trial is worth by its repeats, and what it seemed to be before."""
    error = "" if again.error is None else f" \N{PLUS-MINUS SIGN} {short(again.error)}"
    n = len(again.values)
    of = f"the mean of {counted(n, 'training')} with {'another seed' if n == 1 else 'other seeds'}"
    of += " and its standard error" if error else ""
    noise = best.spread
    one = "" if noise is None else f" (noise of one training: \N{PLUS-MINUS SIGN} {short(noise.half_width)})"
    value = f"{spec.metric.name} {short(mean)}{error}, {of}{one}"
    first = f"its first value, by which it was chosen, was {short(best.value)}"
    return f"The best is trial {best.trial} with {value}; {first}"


def _told_spread(spread: Spread | None, trials: int) -> str:
    """The noise of one value: no interval of the best one, since it was chosen for being high."""
    if spread is None:
        return ""
    noise, n = f"\N{PLUS-MINUS SIGN} {short(spread.half_width)}", spread.samples
    told = {
        "seeds": f"noise of one training: {noise}, by {n} trainings with other seeds",
        "evaluations": f"noise of one evaluation: {noise}, by its last {n} evaluations",
        "samples": f"noise of one evaluation: {noise}, as {n} validation samples allow no better",
    }
    lucky = "; the best of many is likely a little lucky" if trials > 1 else ""
    return f" ({told[spread.source]}{lucky})"


def _told_well(results: Sequence[TrialResult], well: int) -> str:
    n = len(results)
    pruned = sum(result.outcome is Outcome.PRUNED for result in results)
    text = f"{well} of {counted(n, 'trial')} trained well"
    were = "was" if pruned == 1 else "were"
    text += f", {pruned} {were} pruned for standing behind others." if pruned else "."
    return text + _told_infeasible(results)


def _told_infeasible(results: Sequence[TrialResult]) -> str:
    """How many trials violate the constraints of the study, and which."""
    broken = [violated(result) for result in results if result.outcome is Outcome.INFEASIBLE]
    counts = Counter(text for texts in broken for text in texts)
    if not broken:
        return ""
    named = ", ".join(f"{text} ({count})" for text, count in counts.most_common())
    violate = "violates a constraint" if len(broken) == 1 else "violate constraints"
    return f" {counted(len(broken), 'trial')} {violate}: {named}."


def _told_troubles(troubles: Sequence[Trouble], failures: FailureMap) -> list[str]:
    if not troubles:
        return []
    named = [f"{trouble.kind} ({len(trouble.trials)})" for trouble in troubles[:NAMED]]
    more = len(troubles) - NAMED
    text = ", ".join(named) + (f" and {counted(more, 'other cause')}" if more > 0 else "")
    first = troubles[0]
    sentences = [f"What went wrong with the others: {text}."]
    kinds = {ANY, *(trouble.kind for trouble in troubles[:NAMED])}
    rules = [region for region in failures.regions if region.conditions and region.kind in kinds]
    if rules:
        sentences.append(f"Where: {rules[0].text}.")
    if first.remedy:
        sentences.append(f"What to change, as said of trial {first.trials[0]}: {first.remedy}.")
    return sentences


def _told_next(search: Convergence, following: Next, is_stuck: bool) -> str:
    """What to do, most urgent first; where no trial got anywhere that is to mend what is wrong."""
    if is_stuck:
        return "Next: mend that before searching on."
    parts = [_step(change.setting, change.before, change.after) for change in following.changes[:NAMED]]
    more = len(following.changes) - NAMED
    parts += [f"make {counted(more, 'other change')}"] if more > 0 else []
    if following.longer:
        parts.append(f"train {_trials([longer.trial for longer in following.longer])} longer")
    if parts:
        return f"Next: {'; '.join(parts)}."
    if search.levelled_off:
        return "Next: nothing in these ranges; the search has levelled off, so look beyond these settings."
    return "Next: go on with the same ranges; there is no evidence yet to change them."


def _step(setting: str, before: str, after: str) -> str:
    if after == LEFT_OUT:
        return f"leave {setting} out"
    return f"search {setting} in {after} (it was {before})"


def _trials(numbers: Sequence[int]) -> str:
    return f"trial {numbers[0]}" if len(numbers) == 1 else f"trials {listed(numbers)}"
