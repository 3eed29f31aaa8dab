"""Section 8 of a report: a study file for the next search, ready to run, and trials to train longer."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence

from diagnostics import Verdict
from diagnostics.evidence.words import short
from searcher.report.numbers.narrowing import HEALTHY, Evidence, evidence_of
from searcher.report.numbers.next_space import Draft, left_over, mistakes_of, next_space
from searcher.report.numbers.scales import columns_of
from searcher.report.numbers.study_file import study_file
from searcher.report.observations import FailureMap, Value
from searcher.report.study_report import AtBound, Change, Longer, Next
from searcher.report.words import counted
from searcher.spec import StudySpec
from searcher.summary import best_line, best_word, sampled_of
from searcher.trial import TrialResult, ranked, searched

LONGER = 5
"""Trials that are named for a longer budget."""

TIMES = 1.5
"""Times the epochs that they should get, as the forecast says what these bring."""

SUFFIX = re.compile(r"-next(?:-([0-9]{1,9}))?$")
"""What a next study's name ends with, and the number of the study."""

LONGEST = 100
"""Characters of a study's name."""


def next_study(
    spec: StudySpec, results: Sequence[TrialResult], failures: FailureMap, bounds: Sequence[AtBound]
) -> Next:
    """The study file with its ranges narrowed to where good trials lie, widened where the best one lies on a
    bound, never changed on few trials. Every change has its reason, in the file too."""
    best, results = best_line(spec, results), searched(results)
    known = evidence_of(spec, results)
    if known.failed.sum() > 1 and failures.regions:  # the first regions are those of any failure
        kind = failures.regions[0].kind
        known = evidence_of(spec, results, [region for region in failures.regions if region.kind == kind])
    draft = next_space(spec, columns_of(spec, results), known, bounds)
    improving = _improving(spec, results, known)
    text = _text(spec, best, results, known, draft, improving)
    if not _is_sound(spec, text):
        draft = Draft(dict(spec.space))
        text = _text(spec, best, results, known, draft, improving)
    longer = tuple(Longer(r.number, _outlook(r), _longer_settings(r)) for r in improving[:LONGER])
    return Next(text, draft.changes, longer)


def _text(
    spec: StudySpec,
    best: str,
    results: Sequence[TrialResult],
    known: Evidence,
    draft: Draft,
    improving: Sequence[TrialResult],
) -> str:
    """The study file with its comments, what was the best among them."""
    search = spec.search.model_copy(update={"warm_start": []})  # earlier trials may not fit the ranges now
    new = {"name": _next_name(spec.name), "space": draft.space, "search": search, "enqueue": []}
    following = spec.model_copy(update=new)
    reached = [f"Not said by these ranges: {r.text}." for r in left_over(draft.space, known.regions)]
    gone = [_comment(change) for change in draft.changes if change.setting not in draft.space]
    comments = {
        "": _head(spec, best, results, known, draft),
        "train": _about_epochs(known, improving),
        "space": "\n".join([*reached, *gone]),
        **{f"space.{change.setting}": _comment(change) for change in draft.changes},
    }
    return study_file(following, comments)


def _is_sound(spec: StudySpec, text: str) -> bool:
    """Whether a study file has no mistakes but those that the study itself has."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return mistakes_of(raw, spec.name) <= mistakes_of(spec.model_dump(), spec.name)


def _improving(spec: StudySpec, results: Sequence[TrialResult], known: Evidence) -> list[TrialResult]:
    """Good trials that were still improving at their end, the best first."""
    good = {result.number for result, is_good in zip(results, known.good, strict=True) if is_good}
    return [
        result
        for result in ranked(spec.metric, results)
        if result.verdict is Verdict.IMPROVING and result.number in good
    ]


def _longer_settings(result: TrialResult) -> Mapping[str, Value]:
    epochs = result.settings.get("epochs")
    settings = sampled_of(result)
    return {**settings, "epochs": math.ceil(TIMES * epochs)} if isinstance(epochs, int) else settings


def _outlook(result: TrialResult) -> str:
    """What more epochs should bring, by the forecast of the trial's report."""
    found = result.report.statistics
    name = "forecast_1.5x"
    if not all(key in found for key in ("loss_now", name, f"{name}_low", f"{name}_high")):
        return "its loss still fell at the end; no forecast holds"
    low, high = found[f"{name}_low"], found[f"{name}_high"]
    return (
        f"its loss still fell at the end: it was {short(found['loss_now'])}, and half as many steps again "
        f"should bring it to about {short(found[name])} ({short(low)} to {short(high)})"
    )


def _next_name(name: str) -> str:
    """`name-next`, then `name-next-2`; the name itself is cut where the whole would be too long."""
    known = SUFFIX.search(name)
    stem = name[: known.start()] if known else name
    suffix = f"-next-{int(known.group(1) or 1) + 1}" if known else "-next"
    return stem[: LONGEST - len(suffix)] + suffix


def _comment(change: Change) -> str:
    return f"{change.setting} was {change.before}: {change.reason}."


def _head(spec: StudySpec, best: str, results: Sequence[TrialResult], known: Evidence, draft: Draft) -> str:
    trials = counted(len(results), "trial")
    begun = f"What to search after {spec.name} ({trials}; {best_word(spec)}: {best})."
    if not known.is_enough:
        why = f"only {counted(known.healthy, 'trial')} did not fail, and ranges are changed from {HEALTHY} on"
    elif not draft.changes:
        why = "no change has enough evidence"
    else:
        return f"{begun}\nEvery change has its reason beside it."
    return f"{begun}\nNothing is changed: {why}."


def _about_epochs(known: Evidence, improving: Sequence[TrialResult]) -> str:
    if not improving:
        return ""
    n, epochs = len(improving), _longer_settings(improving[0]).get("epochs")
    more = f": epochs = {epochs} may bring more" if epochs is not None else ": more epochs may bring more"
    were = "was" if n == 1 else "were"
    return (
        f"Of the best {counted(int(known.good.sum()), 'trial')} {n} {were} still improving at the end{more}."
    )
