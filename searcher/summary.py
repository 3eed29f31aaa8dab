"""What a study has taught so far, in words and tables. Every function returns; none prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagnostics import Verdict
from searcher.audit import audit_line
from searcher.confirming import Confirmation, Confirmed, confirmation
from searcher.naming import chance_text, short_settings
from searcher.policy import first_cause
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult, ranked, searched


def best_result(spec: StudySpec, results: Sequence[TrialResult]) -> TrialResult | None:
    """The best trial that was trained to its end, None when there is none; once the leaders were repeated
    with other seeds, the best by the means of these."""
    known = confirmation(spec.metric, results)
    return next(iter(ranked(spec.metric, results)), None) if known is None else known.named.trial


def sampled_of(result: TrialResult) -> dict[str, Any]:
    """The settings the search chose for a trial."""
    return {name: result.settings[name] for name in result.sampled}


def verdict_counts(results: Sequence[TrialResult]) -> dict[Verdict, int]:
    """How many trials got each verdict, in the order of the vocabulary."""
    counts = Counter(result.verdict for result in results)
    return {verdict: counts[verdict] for verdict in Verdict if counts[verdict]}


def outcome_counts(results: Sequence[TrialResult]) -> dict[Outcome, int]:
    """How many trials ended in each way."""
    counts = Counter(result.outcome for result in results)
    return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}


def cause_of(result: TrialResult) -> str:
    """What a trial suffered from, in a word: the kind of its first cause; empty when all was well."""
    cause = first_cause(result.report.findings)
    return "" if cause is None else cause.kind


@dataclass(frozen=True)
class Failure:
    """What made trials fail: its kind (or the reason, where nothing was found), how many they were, the
    numbers of the first of them, and what to change, as it was said of the first."""

    cause: str
    trials: tuple[int, ...]
    remedy: str


def failures(results: Sequence[TrialResult]) -> list[Failure]:
    """Why trials were doomed or failed, the most frequent cause first."""
    groups: dict[str, list[TrialResult]] = {}
    for result in sorted(results, key=lambda result: result.number):
        if result.outcome in (Outcome.DOOMED, Outcome.FAILED):
            cause = result.report.fatal
            name = (result.reason.splitlines() or ["unknown"])[0] if cause is None else cause.kind
            groups.setdefault(name, []).append(result)
    found = []
    for name, group in groups.items():
        cause = group[0].report.fatal
        found.append(Failure(name, tuple(r.number for r in group), "" if cause is None else cause.remedy))
    return sorted(found, key=lambda failure: -len(failure.trials))


def done_text(results: Sequence[TrialResult]) -> str:
    """How many trials have ended, those of the search and repeats of them."""
    trials = len(searched(results))
    repeats = len(results) - trials
    again = f" and {repeats} repeat{'s' * (repeats > 1)}" if repeats else ""
    return f"{trials} trials{again}"


def best_line(spec: StudySpec, results: Sequence[TrialResult]) -> str:
    """The best result in one line."""
    best = best_result(spec, results)
    if best is None:
        return f"none yet: all {len(results)} trials ended before their time" if results else "none yet"
    return f"{best_value(spec, best, results)} ({short_settings(sampled_of(best))})"


def best_value(spec: StudySpec, best: TrialResult, results: Sequence[TrialResult] = ()) -> str:
    """What the best trial has reached: the mean of its repeats with other seeds, where `results` has some."""
    known = confirmation(spec.metric, results)
    if known is None or known.named.mean is None:
        return f"{spec.metric.name} {best.value:.4g} by trial {best.number}"
    one = known.named
    error = "" if one.error is None else f" \N{PLUS-MINUS SIGN} {one.error:.2g}"
    seeds = "1 other seed" if len(one.values) == 1 else f"{len(one.values)} other seeds"
    by = f"by trial {best.number}, mean of {seeds}"
    return f"{spec.metric.name} {one.mean:.4g}{error} {by}, {best.value:.4g} at first"


def confirm_line(spec: StudySpec, results: Sequence[TrialResult]) -> str:
    """How sure it is which of the leaders is the best, as a sentence without full stop; empty when none was
    trained again."""
    repeats = len(results) - len(searched(results))
    if not repeats:
        return ""
    known = confirmation(spec.metric, results)
    if known is None:
        trials = "1 repeat has" if repeats == 1 else f"{repeats} repeats have"
        return f"{trials} ended; until each leader has one, first values say which is the best"
    parts = [_sure(known), *(_lost(one) for one in known.trials if one.lost)]
    gap = known.named.gap
    if gap is not None and gap != 0:
        side = "better" if (gap > 0) == (spec.metric.goal == "maximize") else "worse"
        parts.append(f"its first value was {abs(gap):.2g} {side} than the mean of its repeats")
    return "; ".join(parts)


def _sure(known: Confirmation) -> str:
    number, of = known.named.trial.number, len(known.trials)
    if of == 1:
        return f"trial {number} is the only one that was repeated"
    if known.named.chance is not None:
        spread = f"spread over seeds {known.spread:.2g}, pooled"
        chance = chance_text(known.named.chance)
        return (
            f"with a chance of {chance} trial {number} is the best of the {of} that were repeated ({spread})"
        )
    if known.spread == 0:
        return "the seed changes no value: it moves nothing here, or the trainer does not use it"
    return f"how sure it is that trial {number} is the best of {of} takes two repeats of a trial or more"


def _lost(one: Confirmed) -> str:
    seeds = len(one.lost) + len(one.values)
    return f"trial {one.trial.number} did not hold with {len(one.lost)} of {seeds} seeds"


def best_settings(spec: StudySpec, best: TrialResult) -> dict[str, Any]:
    """What the study file says of the best trial, and what the search chose; with all the epochs it had."""
    more = {"epochs": best.settings["epochs"]} if best.extended else {}
    return {**spec.train, **more, **sampled_of(best)}


def settings_toml(settings: Mapping[str, Any]) -> str:
    """Settings as the lines of a `[train]` section; those that are not set are left out."""
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items() if value is not None]
    return "[train]\n" + "\n".join(lines) + "\n"


def to_markdown(spec: StudySpec, results: Sequence[TrialResult], why: str) -> str:
    """The study as the note of its parent run."""
    lines = [spec.question or spec.name, "", f"**Best:** {best_line(spec, results)}", ""]
    search = searched(results)
    counts = verdict_counts(search)
    if counts:
        lines += ["| verdict | trials |", "|---|---:|"]
        lines += [f"| {verdict} | {count} |" for verdict, count in counts.items()]
    failed = failures(search)
    if failed:
        lines += [
            "",
            "| why trials failed | trials | what to change, as said of the first |",
            "|---|---:|---|",
        ]
        lines += [f"| {f.cause} | {len(f.trials)} | {f.remedy} |" for f in failed]
    if line := confirm_line(spec, results):
        lines += ["", f"Confirmation: {line}."]
    if line := audit_line(spec.metric, search):
        lines += ["", f"Audit: {line}."]
    if why:
        lines += ["", f"The study ended because {why}."]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
