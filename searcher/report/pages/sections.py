"""A study's report as a page: the sections in the order in which they are read."""

from __future__ import annotations

import tomllib

from searcher.naming import duration
from searcher.report.observations import Example
from searcher.report.pages.audit_blocks import audit_blocks
from searcher.report.pages.blocks import (
    Block,
    Card,
    Cards,
    Code,
    Figures,
    Links,
    Page,
    Section,
    Text,
    Tile,
    Tiles,
)
from searcher.report.pages.curve_figures import all_losses, best_curves, example_figure
from searcher.report.pages.layer_figures import layer_figures
from searcher.report.pages.pareto_figures import front_figures, front_table
from searcher.report.pages.search_figures import course_of_search, verdict_bars
from searcher.report.pages.setting_figures import failure_rates, importances, interaction_figure, slices
from searcher.report.pages.sureness_blocks import sureness_blocks
from searcher.report.pages.tables import (
    bounds_table,
    changes_table,
    longer_table,
    made_with_table,
    regions_table,
    settings_table,
    troubles_table,
    verdicts_table,
)
from searcher.report.study_report import Best, Pareto, StudyReport
from searcher.report.words import counted, day, listed, number, percent, sentence_of

SAVED = {
    "pruned": "given up by the pruner",
    "doomed": "stopped since they could not recover",
    "infeasible": "stopped since they violate a constraint",
}
"""Outcomes by which trials end early, in words."""


SUPPORT = (
    "Support is the balanced accuracy on trials the rule was not fitted to: 0.5 is chance, 1 is never wrong."
)

MAPS = (
    "Updates are shown over the weights they change: blue hardly moves, red moves far, and what has no "
    "colour is near the usual 1e-3. Layers stand in their order, the input first. An empty cell is exactly "
    "zero or not finite; a dotted line marks where a finding began."
)
"""What is said of all rules, and of all maps of layers."""


def page_of(report: StudyReport) -> Page:
    """The whole page."""
    front = (Section("front", "Pareto front", _front(report.pareto)),) if report.pareto else ()
    sections = (
        Section("summary", "In one paragraph", _summary(report)),
        *front,
        Section("verdicts", "Verdicts", _verdicts(report)),
        Section("curves", "Curves", _curves(report)),
        Section("failures", "Where failures live", _failures(report)),
        Section("matters", "What matters", _matters(report)),
        Section("layers", "Layers", _layers(report)),
        Section("convergence", "Convergence of the search", _convergence(report)),
        Section("next", "Next", _next(report)),
        Section("reproduce", "To reproduce", _reproduction(report)),
    )
    state = sentence_of(report.ended) if report.ended else "Its budget is not used up."
    facts = (
        ("Searched for", "; ".join(f"{name}, to {goal}" for name, goal in _aims(report))),
        ("State", state),
        ("Written", day(report.made_at)),
    )
    return Page(report.study, report.question, facts, sections)


def _aims(report: StudyReport) -> list[tuple[str, str]]:
    if report.pareto is None:
        return [(report.metric, report.goal)]
    return [(aim.name, aim.goal) for aim in report.pareto.aims]


def _front(pareto: Pareto) -> tuple[Block, ...]:
    if not pareto.front:
        return (Text(pareto.text, "note"),)
    return (Text(pareto.text), front_figures(pareto), front_table(pareto))


def _by_first(report: StudyReport) -> list[Block]:
    """What is said of a section that looks at one objective of several."""
    if report.pareto is None:
        return []
    return [Text(f"This section looks at {report.metric} alone, the first metric of the study.", "note")]


def _note(text: str) -> list[Block]:
    """What is said aside, if anything."""
    return [Text(text, "note")] if text else []


def _nothing(report: StudyReport, why: str) -> Text:
    """What stands in a section that has nothing to show."""
    return Text(why if report.headline.trials else "No trial has ended yet.", "note")


def _summary(report: StudyReport) -> tuple[Block, ...]:
    headline = report.headline
    blocks: list[Block] = [Text(headline.text, "lead")]
    if headline.trials:
        blocks.append(Tiles(_tiles(report)))
    if headline.troubles:
        blocks.append(troubles_table(headline.troubles))
    if headline.best is not None and report.pareto is None:
        blocks.append(settings_table(headline.best))
        if headline.best.equals:
            equals = f"trial{'s' * (len(headline.best.equals) > 1)} {listed(headline.best.equals)}"
            blocks.append(Text(f"As good as the best, within its noise: {equals}.", "note"))
    blocks += sureness_blocks(report.sureness, report.metric)
    if report.views:
        where = f"The trials in MLflow, once searcher ui {report.study} runs:"
        blocks.append(Links(where, tuple(report.views.items())))
    return tuple(blocks)


def _tiles(report: StudyReport) -> tuple[Tile, ...]:
    headline = report.headline
    seconds = sum(row.seconds for row in report.verdicts.rows)
    saved = sum(report.verdicts.saved.values())
    best = Tile(f"Best {report.metric}", "none yet", "no trial was trained to its end")
    if headline.best is not None:
        again = headline.best.repeated
        value = headline.best.value if again is None or again.mean is None else again.mean
        best = Tile(f"Best {report.metric}", number(value), _surety(headline.best, headline.trials))
    well = percent(headline.well, headline.trials)
    if report.pareto is not None and report.pareto.front:
        stand = counted(len(report.pareto.front), "trial")
        best = Tile("Pareto front", stand, f"best {report.metric}: {best.value}")
    return (
        best,
        Tile("Trained well", f"{headline.well} of {headline.trials}", f"{well} of the trials"),
        Tile("Device time", duration(seconds + report.sureness.seconds), f"on {_counted_all(report)}"),
        Tile("Saved", duration(saved), "of device time, by stopping early"),
    )


def _counted_all(report: StudyReport) -> str:
    """The trials of the search, and how often some of them were repeated."""
    repeats = sum(len(row.values) + len(row.lost) for row in report.sureness.rows)
    trials = counted(report.headline.trials, "trial")
    return f"{trials} and {counted(repeats, 'repeat')}" if repeats else trials


def _surety(best: Best, trials: int) -> str:
    """The noise of a value, or the standard error of a mean."""
    again = best.repeated
    if again is not None and again.mean is not None:
        error = "" if again.error is None else f"\u00b1 {number(again.error, 2)}, "
        return f"{error}mean of {counted(len(again.values), 'repeat')}; {number(again.first)} at first"
    if best.spread is None:
        return f"trial {best.trial}; its noise is not known"
    words = {"seeds": "other seeds", "evaluations": "evaluations of this training"}
    source = words.get(best.spread.source, best.spread.source)
    one = "training" if best.spread.source == "seeds" else "evaluation"
    noise = f"noise of one {one}: \u00b1 {number(best.spread.half_width, 2)}"
    lucky = "; the best of many is likely a little lucky" if trials > 1 else ""
    return f"{noise} (from {best.spread.samples} {source}){lucky}"


def _verdicts(report: StudyReport) -> tuple[Block, ...]:
    rows, note = report.verdicts.rows, _note(report.verdicts.note)
    if not rows:
        return tuple(note or [_nothing(report, "No trial has ended yet.")])
    blocks: list[Block] = [verdict_bars(report.verdicts), verdicts_table(rows)]
    saved = {outcome: seconds for outcome, seconds in report.verdicts.saved.items() if seconds > 0}
    if saved:
        parts = [f"{duration(seconds)} of trials {SAVED.get(o, o)}" for o, seconds in saved.items()]
        blocks.append(Text(f"Stopping early saved {' and '.join(parts)}."))
    judged = _by_first(report) if report.audit.let_run else []
    return (*blocks, *note, *audit_blocks(report.audit), *judged)


def _curves(report: StudyReport) -> tuple[Block, ...]:
    curves = report.curves
    blocks = _note(curves.note)
    if any(line.steps for line in curves.losses):
        blocks.append(all_losses(curves))
    if any(line.steps for line in curves.best):
        blocks.append(best_curves(curves))
    grave = tuple(_card(example) for example in curves.examples if example.severity != "info")
    remarks = tuple(_card(example) for example in curves.examples if example.severity == "info")
    if grave:
        blocks.append(Text("An example of every finding: the trial that shows it most clearly."))
        blocks.append(Cards(grave))
    if remarks:
        blocks.append(Cards(remarks, f"{counted(len(remarks), 'remark')} that stopped nothing"))
    return tuple(blocks or [_nothing(report, "There are no curves yet.")])


def _card(example: Example) -> Card:
    evidence = ", ".join(f"{name} {number(value, 3)}" for name, value in example.evidence.items())
    lines = (
        ("cause", sentence_of(example.cause)),
        ("remedy", sentence_of(example.remedy)),
        ("evidence", evidence),
        ("where", _where(example)),
    )
    kept = tuple((label, text) for label, text in lines if text)
    return Card(example.kind, example.severity, kept, example_figure(example))


def _where(example: Example) -> str:
    layers = ", ".join(example.layers[:4])
    more = f" and {len(example.layers) - 4} more" if len(example.layers) > 4 else ""
    return f"trial {example.trial}, step {example.step}" + (f", {layers}{more}" if layers else "")


def _failures(report: StudyReport) -> tuple[Block, ...]:
    failures = report.failures
    blocks: list[Block] = []
    if failures.regions:
        blocks += [regions_table(failures.regions), Text(SUPPORT, "note")]
    blocks += [*_note(failures.note), *failure_rates(failures)]
    return tuple(blocks or [_nothing(report, "Nothing failed.")])


def _matters(report: StudyReport) -> tuple[Block, ...]:
    matters = report.matters
    blocks = _by_first(report) if matters.slices else []
    blocks += [importances(matters.importance)] if matters.importance else []
    blocks += _note(matters.note)
    if any(one.points for one in matters.slices):
        blocks.append(slices(matters.slices, report.metric, report.goal))
    if matters.interaction is not None and matters.interaction.points:
        blocks.append(interaction_figure(matters.interaction, matters.slices, report.metric, report.goal))
    return tuple(blocks or [_nothing(report, "There are too few trials to say what matters.")])


def _layers(report: StudyReport) -> tuple[Block, ...]:
    figures: list[Figures] = layer_figures(report.layers, report.curves.examples)
    if not figures:
        return (_nothing(report, "No trial that would be shown here has left signals by layer."),)
    return (Text(MAPS, "note"), *figures)


def _convergence(report: StudyReport) -> tuple[Block, ...]:
    convergence = report.convergence
    blocks = _by_first(report) if convergence.best else []
    blocks += [Text(convergence.text)] if convergence.text else []
    if convergence.best:
        blocks.append(course_of_search(convergence, report.metric))
    if convergence.at_bounds:
        blocks.append(bounds_table(convergence.at_bounds))
    return tuple(blocks or [_nothing(report, "No trial was trained to its end yet.")])


def _next(report: StudyReport) -> tuple[Block, ...]:
    following = report.next
    blocks: list[Block] = []
    if following.changes:
        blocks.append(changes_table(following.changes))
    if following.longer:
        blocks.append(longer_table(following.longer))
    if following.study_file:
        name = _name_of(following.study_file)
        blocks.append(Code(f"The next study file: save it as {name}.toml", following.study_file, "toml"))
        blocks.append(Code("To run it", f"searcher run {name}.toml", "shell"))
    return tuple(blocks or [_nothing(report, "There is nothing to go on from yet.")])


def _name_of(study_file: str) -> str:
    """The name of the study in a study file."""
    try:
        return str(tomllib.loads(study_file)["name"])
    except (tomllib.TOMLDecodeError, KeyError):
        return "next"


def _reproduction(report: StudyReport) -> tuple[Block, ...]:
    again = report.reproduction
    blocks: list[Block] = [Code("The command", again.command, "shell")] if again.command else []
    blocks.append(made_with_table(again))
    if again.best_settings:
        which = "The best settings" if report.pareto is None else f"The settings of the best {report.metric}"
        blocks.append(Code(which, again.best_settings, "toml"))
    return tuple(blocks)
