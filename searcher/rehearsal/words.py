"""What a rehearsal teaches, in sentences."""

from __future__ import annotations

from searcher.rehearsal.compare import Rehearsal, Row
from searcher.rehearsal.figures import Figures, Quartiles, is_clearly_sooner, or_infinite, quartiles
from searcher.report.words import counted, listed, number, percent


def aim_text(rehearsal: Rehearsal) -> str:
    """What there is to find."""
    aim = rehearsal.aim
    best = f"{aim.metric.name} {number(aim.best)} by trial {aim.trial}"
    if aim.noise is None:
        return f"the best on record is {best}; how much of it is noise is not known, so nothing less counts"
    than = "at least" if aim.metric.goal == "maximize" else "at most"
    return f"the best on record is {best}; {than} {number(aim.enough)} is as good, within its noise"


def recorded_text(rehearsal: Rehearsal) -> str:
    """How the study itself went."""
    run = rehearsal.recorded
    at_once = "one after the other" if rehearsal.slots == 1 else f"up to {rehearsal.slots} at once"
    left_out = f"; {rehearsal.left_out} that failed by accident left out" if rehearsal.left_out else ""
    return (
        f"as it was run, with {rehearsal.sampler} and {rehearsal.pruner}: {counted(run.trials, 'trial')} "
        f"{at_once}, {run.pruned} of them given up, {number(run.epochs, 3)} epochs; as good as the best "
        f"after {number(run.reached or 0.0, 3)}{left_out}"
    )


def caveats(rehearsal: Rehearsal) -> list[str]:
    """How far the figures can be trusted."""
    said = []
    if any(run.unknown for row in rehearsal.rows for run in row.runs):
        said.append(
            "not known: trials that the study gave up where this pruner would not have; they count with the "
            "epochs on record, and with all of theirs behind 'to'. What came after the first of them may "
            "have gone otherwise"
        )
    if any(row.sampler is None for row in rehearsal.rows):
        said.append(
            "one order of points is one chance: --sampler random --pruner NAME goes through them in others"
        )
    sampled = [row.apart for row in rehearsal.rows if row.apart is not None]
    if sampled:
        low, high = number(min(sampled), 2), number(max(sampled), 2)
        said.append(
            f"a sampler is given the nearest of {rehearsal.trials} recorded points, each once; the median "
            f"distance was {low if low == high else f'{low} to {high}'} (0: the same point, 1: the other "
            "end in every setting). It shows in which order a sampler would have gone through these "
            "points, not what it would have found between them"
        )
    return [*said, *rehearsal.notes]


def conclusion(rehearsal: Rehearsal) -> list[str]:
    """What would have been the best way to run the study; of one setting, how it compares."""
    if not rehearsal.is_comparison:
        return [_of_one(rehearsal, rehearsal.rows[0])]
    own = [row for row in rehearsal.rows if row.sampler is None]
    sampled = [row for row in rehearsal.rows if row.sampler is not None]
    return [_best_pruner(rehearsal, own), _cheapest_pruner(rehearsal, own), _best_sampler(sampled)]


def by_epochs(row: Row) -> tuple[float, float]:
    """Rows sort by what they take at most until the best is found, then by what they take in all."""
    reached, epochs = _reached_most(row)[1], quartiles(run.most for run in row.runs)[1]
    return or_infinite(reached), or_infinite(epochs)


def _best_pruner(rehearsal: Rehearsal, rows: list[Row]) -> str:
    """By the study's own points in their order, where each pruner went through the same once."""
    took, metric = rehearsal.recorded.reached or 0.0, rehearsal.aim.metric.name
    best = min(rows, key=by_epochs)
    run = best.runs[0]
    most = or_infinite(run.reached_most)
    maybe = [row for row in rows if or_infinite(row.runs[0].reached) < min(took, most)]
    hopes = ", ".join(row.pruner for row in maybe if row.runs[0].unknown)
    unclear = (
        f" {hopes} may have been there sooner, but the study gave up trials that would tell." if hopes else ""
    )
    if most >= took:
        return (
            f"With these points in this order, no pruner is known to have come to as good a {metric} sooner "
            f"than the {number(took, 3)} epochs the study took with {rehearsal.pruner}.{unclear}"
        )
    return (
        f"With these points in this order, {best.pruner} would have been there first: as good a {metric} "
        f"after {number(most, 3)} epochs, where the study took {number(took, 3)}.{unclear}"
    )


def _cheapest_pruner(rehearsal: Rehearsal, rows: list[Row]) -> str:
    """The fewest epochs in all after which as good a value was found."""
    before, all_ = rehearsal.recorded.epochs, counted(rehearsal.trials, "trial")
    finds = [row for row in rows if row.runs[0].reached is not None]
    best = min(finds, key=lambda row: row.runs[0].most, default=None)
    if best is None or best.runs[0].most >= before:
        spent = number(before, 3)
        return f"None is known to go through all {all_} in fewer than its {spent} epochs and still find it."
    most = f"{'at most ' if best.runs[0].unknown else ''}{number(best.runs[0].most, 3)}"
    return (
        f"{best.pruner} goes through all {all_} in the fewest epochs and still finds it: {most}, "
        f"where the study took {number(before, 3)}{_price(rehearsal, best.runs[0])}."
    )


def _best_sampler(rows: list[Row]) -> str:
    """By several seeds: one that is clearly sooner than random points, or none."""
    chance = next(row for row in rows if row.sampler == "random")
    best = min(rows, key=by_epochs)
    low, middle, high = _reached_most(best)
    middle_of_chance = quartiles(run.reached for run in chance.runs)[1]
    seeds = counted(len(best.runs), "seed")
    ours, theirs = [run.reached_most for run in best.runs], [run.reached for run in chance.runs]
    if not is_clearly_sooner(ours, theirs):
        return f"No sampler goes through these points clearly sooner than random order does ({seeds})."
    against = "never" if middle_of_chance is None else f"after {number(middle_of_chance, 3)}"
    return (
        f"Of the samplers, {best.sampler} would have found as good a value first: after {_epochs(middle)} "
        f"epochs (median of {seeds}, quartiles {_epochs(low)} and {_epochs(high)}); in random order "
        f"{against}."
    )


def _of_one(rehearsal: Rehearsal, row: Row) -> str:
    took, metric = rehearsal.recorded.reached or 0.0, rehearsal.aim.metric.name
    low, middle, high = _reached_most(row)
    asked = f"the points that {row.sampler} asks for"
    points = "the study's points in their order" if row.sampler is None else asked
    if middle is None:
        found = "not found" if len(row.runs) == 1 else f"not found in most of {len(row.runs)} seeds"
        return f"With {points} and {row.pruner} as good a {metric} would have been {found}."
    at_most = "at most " if any(run.reached != run.reached_most for run in row.runs) else ""
    spread = f" (median of {len(row.runs)} seeds, quartiles {_epochs(low)} and {_epochs(high)})"
    return (
        f"With {points} and {row.pruner} as good a {metric} would have been there after "
        f"{at_most}{_epochs(middle)} epochs"
        f"{spread if len(row.runs) > 1 else ''}, where the study took {number(took, 3)}"
        f"{_price(rehearsal, row.runs[0]) if len(row.runs) == 1 else ''}."
    )


def _price(rehearsal: Rehearsal, run: Figures) -> str:
    """What else becomes of a study with this pruner."""
    before, top = rehearsal.recorded.epochs, len(rehearsal.aim.top)
    saved = before - run.most
    all_of_it = f", {percent(saved, before)} of all its epochs saved" if saved > 0 else ""
    lost = f"{len(run.lost)} ({listed(run.lost)})" if run.lost else "none"
    return f"{all_of_it}, and {lost} of its {counted(top, 'best trial')} given up"


def _epochs(value: float | None) -> str:
    return "never" if value is None else number(value, 3)


def _reached_most(row: Row) -> Quartiles:
    return quartiles(run.reached_most for run in row.runs)
