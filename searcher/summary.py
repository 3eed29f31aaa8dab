"""What a study has taught so far, in words and tables. Every function returns; none prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagnostics import Verdict
from searcher.audit import audit_line
from searcher.confirming import Confirmation, Confirmed, confirmation
from searcher.errors import NotFound
from searcher.fronts import best_first, pareto_front
from searcher.naming import chance_text, figure_text, short_settings
from searcher.policy import first_cause
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult, searched


def best_result(spec: StudySpec, results: Sequence[TrialResult]) -> TrialResult | None:
    """The best trial that was trained to its end, None when there is none; once the leaders were repeated
    with other seeds, the best by the means of these. With several objectives that of the Pareto front which
    is best in the first of them."""
    known = confirmation(spec.metric, results)
    return next(iter(best_first(spec.metrics, results)), None) if known is None else known.named.trial


def best_results(spec: StudySpec, results: Sequence[TrialResult]) -> list[TrialResult]:
    """The best trial alone, or the Pareto front of a study with several objectives."""
    if spec.is_several:
        return pareto_front(spec.metrics, results)
    best = best_result(spec, results)
    return [] if best is None else [best]


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
    """The best result in one line; with several objectives the Pareto front."""
    best = best_result(spec, results)
    if best is None:
        return f"none yet: all {len(results)} trials ended before their time" if results else "none yet"
    if spec.is_several:
        return front_line(spec, results)
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


def best_word(spec: StudySpec) -> str:
    """What the best of a study are called: `best`, or `Pareto front`."""
    return "Pareto front" if spec.is_several else "best"


def front_line(spec: StudySpec, results: Sequence[TrialResult]) -> str:
    """How many trials stand on the Pareto front, and the best of each objective."""
    front = pareto_front(spec.metrics, results)
    best = []
    for metric in spec.metrics:
        one = min(front, key=lambda result: metric.sign * result.objectives[metric.name])
        best.append(f"{metric.name} {figure_text(one.objectives[metric.name])} by trial {one.number}")
    trials = "1 trial" if len(front) == 1 else f"{len(front)} trials"
    return f"{trials} of {len(results)}; {', '.join(best)}"


def front_rows(spec: StudySpec, results: Sequence[TrialResult]) -> list[tuple[str, ...]]:
    """The Pareto front, a trial a row: its number, its objectives, its settings."""
    return [
        (
            str(result.number),
            *(figure_text(result.objectives[metric.name]) for metric in spec.metrics),
            short_settings(sampled_of(result)),
        )
        for result in pareto_front(spec.metrics, results)
    ]


def chosen_best(
    spec: StudySpec, results: Sequence[TrialResult], number: int | None
) -> tuple[TrialResult | None, list[str]]:
    """The best trial, or of a Pareto front the one with this number; without one the best in the first
    metric, None where no trial was trained to its end. And what a person should know of it, line by line.

    Raises: NotFound when that is no trial to choose, with those that are.
    """
    front = best_results(spec, results)
    known = {result.number: result for result in front}
    if not front:
        return None, []
    if number is not None and number not in known:
        which = "on the Pareto front" if spec.is_several else "the best one"
        there = f"choose from: {', '.join(map(str, known))}"
        raise NotFound(f"trial {number} of {spec.name!r} is not {which}; {there}")
    chosen = front[0] if number is None else known[number]
    if not spec.is_several:
        sure = confirm_line(spec, results)
        return chosen, [best_line(spec, results), *([sure] if sure else [])]
    table = [("trial", *(metric.name for metric in spec.metrics), "settings"), *front_rows(spec, results)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    rows = ["  ".join([*(c.rjust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in table]
    hint = f", the best in {spec.metric.name}; take another one with --trial" if number is None else ""
    head, below = f"Pareto front: {front_line(spec, results)}", f"below: trial {chosen.number}{hint}"
    return chosen, [head, *rows, below]


def audit_text(spec: StudySpec, results: Sequence[TrialResult]) -> str:
    """What the audit has shown; which metric it goes by, where there are several."""
    line = audit_line(spec.metric, results)
    return f"{line} (by {spec.metric.name})" if line and spec.is_several else line


def settings_toml(settings: Mapping[str, Any]) -> str:
    """Settings as the lines of a `[train]` section; those that are not set are left out."""
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items() if value is not None]
    return "[train]\n" + "\n".join(lines) + "\n"


def to_markdown(spec: StudySpec, results: Sequence[TrialResult], why: str) -> str:
    """The study as the note of its parent run."""
    lines = [
        spec.question or spec.name,
        "",
        f"**{_first_up(best_word(spec))}:** {best_line(spec, results)}",
        "",
    ]
    if spec.is_several:
        names = [metric.name for metric in spec.metrics]
        lines += [f"| trial | {' | '.join(names)} | settings |", f"|---:|{'---:|' * len(names)}---|"]
        lines += [*(f"| {' | '.join(row)} |" for row in front_rows(spec, results)), ""]
    counts = verdict_counts(search := searched(results))
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
    if line := audit_text(spec, search):
        lines += ["", f"Audit: {line}."]
    if why:
        lines += ["", f"The study ended because {why}."]
    return "\n".join(lines)


def _first_up(text: str) -> str:
    return text[0].upper() + text[1:]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
