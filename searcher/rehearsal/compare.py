"""A finished study under other settings: which of them would have found the best, and for how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from searcher.contest import Judge, NeverPrunes
from searcher.errors import SearcherError
from searcher.pruning import judge_of
from searcher.rehearsal.course import AsRecorded, Order, rehearse
from searcher.rehearsal.figures import Aim, Figures, aim_of, figures_of
from searcher.rehearsal.points import Proposed
from searcher.rehearsal.recordings import Ending, Recording, recordings_of, trials_at_once
from searcher.samplers import PRUNERS, SAMPLERS
from searcher.search_checks import search_mistakes
from searcher.spec import Named, StudySpec
from searcher.trial import Outcome, TrialResult

COMPARED = ("tpe", "qmc", "random")
"""Samplers of the comparison: those that take no other package and milliseconds for a point."""

OWN_POINTS = "it goes through points of its own, of which the record may have only some"

LEFT_OUT = {
    "gp": "it takes about a second for a point; rehearse it with --sampler gp --seeds 1",
    "grid": OWN_POINTS,
    "brute-force": OWN_POINTS,
    "wilcoxon": "it takes a permutation test for an evaluation; rehearse it with --pruner wilcoxon",
}
"""Samplers and pruners that are not compared, with the reason."""

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Where the best so far is looked at: shares of the epochs that the study took."""


@dataclass(frozen=True)
class Wanted:
    """What is rehearsed: a sampler (None: the study's own order) and a pruner (None: the study's own), or all
    that are compared when neither is given; over so many `seeds` of a sampler, with so many `trials` (None:
    all) in so many `slots` (None: as many at once as in the study)."""

    sampler: Named | None = None
    pruner: Named | None = None
    seeds: int = 10
    trials: int | None = None
    slots: int | None = None


@dataclass(frozen=True)
class Row:
    """A sampler (None: the study's own order) and a pruner, in so many rehearsals, one for each seed.

    `apart` is how far the recorded trials were from the points that were asked for, the median: 0 the same,
    1 the other end in every setting.
    """

    sampler: str | None
    pruner: str
    runs: tuple[Figures, ...]
    apart: float | None = None


@dataclass(frozen=True)
class Rehearsal:
    """A study rehearsed: as it was `recorded`, and what other settings would have made of it.

    `trials` were replayed, `left_out` had failed by accident. `marks` are the epochs of `so_far`.
    """

    study: str
    sampler: str
    pruner: str
    trials: int
    left_out: int
    slots: int
    aim: Aim
    marks: tuple[float, ...]
    recorded: Figures
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    is_comparison: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "aim": {**asdict(self.aim), "metric": self.aim.metric.model_dump()}}


def rehearsal_of(
    spec: StudySpec, results: Sequence[TrialResult], noise: float | None, wanted: Wanted
) -> Rehearsal:
    """Rehearse a study by its results. `noise` is how far values lie apart by chance, None when not known.

    Raises: SearcherError when there is nothing to find, or a sampler or pruner cannot be had.
    """
    if spec.is_several:
        raise SearcherError(
            f"study {spec.name!r} cannot be rehearsed: a rehearsal looks for the best value of one metric, "
            f"but it has {len(spec.metrics)}: {', '.join(metric.name for metric in spec.metrics)}"
        )
    recordings = recordings_of(results)
    aim = aim_of(spec, recordings, noise)
    if aim is None:
        raise SearcherError(
            f"nothing can be rehearsed: none of the {len(results)} finished trials of {spec.name!r} was "
            "trained to its end, so there is no best one to find; run more trials"
        )
    slots = wanted.slots or trials_at_once(results)
    ends = rehearse(AsRecorded(map(_as_it_was, recordings)), NeverPrunes(), slots)
    marks = tuple(share * ends[-1].spent for share in SHARES)
    stage = _Stage(spec, recordings, aim, marks, slots, wanted.seeds, wanted.trials or len(recordings))
    rows, notes = _comparison(stage) if _is_open(wanted) else ([_chosen(stage, wanted)], [])
    return Rehearsal(
        study=spec.name,
        sampler=spec.search.sampler.name,
        pruner=spec.search.pruner.name,
        trials=len(recordings),
        left_out=sum(result.outcome is Outcome.FAILED for result in results),
        slots=slots,
        aim=aim,
        marks=marks,
        recorded=figures_of(ends, aim, marks),
        rows=tuple(rows),
        notes=tuple(notes),
        is_comparison=_is_open(wanted),
    )


@dataclass(frozen=True)
class _Stage:
    """What all rehearsals of a study share."""

    spec: StudySpec
    recordings: Sequence[Recording]
    aim: Aim
    marks: Sequence[float]
    slots: int
    seeds: int
    trials: int

    def row(self, sampler: Named | None, pruner: Named) -> Row:
        """The rehearsals of a sampler and a pruner."""
        if sampler is None:
            order = AsRecorded(self.recordings[: self.trials])
            return Row(None, _text(pruner), (self._figures(order, pruner),))
        orders = [
            Proposed(self.spec, self.recordings, sampler, seed, self.trials) for seed in range(self.seeds)
        ]
        runs = tuple(self._figures(order, pruner) for order in orders)
        apart = sorted(distance for order in orders for distance in order.apart)
        return Row(_text(sampler), _text(pruner), runs, apart[len(apart) // 2])

    def _figures(self, order: Order, pruner: Named) -> Figures:
        return figures_of(rehearse(order, self._judge(pruner), self.slots), self.aim, self.marks)

    def _judge(self, pruner: Named) -> Judge:
        return judge_of(self.spec, pruner)


def _is_open(wanted: Wanted) -> bool:
    return wanted.sampler is None and wanted.pruner is None


def _comparison(stage: _Stage) -> tuple[list[Row], list[str]]:
    """All pruners with the study's own points in their order, then samplers with the study's own pruner."""
    search, rows, notes = stage.spec.search, [], []
    for name in PRUNERS:
        pruner = search.pruner if name == search.pruner.name else Named(name=name)
        mistakes = [message for _, message in _mistakes(stage.spec, search.sampler, pruner)]
        if name in LEFT_OUT and name != search.pruner.name:
            mistakes.append(LEFT_OUT[name])
        if mistakes:
            notes.append(f"{name} is left out: {mistakes[0]}")
        else:
            rows.append(stage.row(None, pruner))
    own = search.sampler.name
    names = COMPARED if own in (*COMPARED, *LEFT_OUT) else (*COMPARED, own)
    for name in names:
        rows.append(stage.row(search.sampler if name == own else Named(name=name), search.pruner))
    if own in LEFT_OUT:
        notes.append(f"{own}, the study's own sampler, is left out: {LEFT_OUT[own]}")
    if search.warm_start:
        notes.append(f"samplers know nothing of the study's warm start ({', '.join(search.warm_start)})")
    return rows, notes


def _chosen(stage: _Stage, wanted: Wanted) -> Row:
    search = stage.spec.search
    pruner = wanted.pruner or search.pruner
    name = "" if wanted.sampler is None else wanted.sampler.name
    if LEFT_OUT.get(name) == OWN_POINTS:
        fitting = ", ".join(known for known in SAMPLERS if LEFT_OUT.get(known) != OWN_POINTS)
        raise SearcherError(f"the sampler {name!r} cannot be rehearsed: {OWN_POINTS}; choose from: {fitting}")
    if mistakes := _mistakes(stage.spec, wanted.sampler or search.sampler, pruner):
        said = (f"{place.replace('search.', '--')}: {message}" for place, message in mistakes)
        raise SearcherError("; ".join(said))
    return stage.row(wanted.sampler, pruner)


def _mistakes(spec: StudySpec, sampler: Named, pruner: Named) -> list[tuple[str, str]]:
    """What is wrong with a sampler and a pruner for this study: place and message."""
    search = spec.search.model_copy(update={"sampler": sampler, "pruner": pruner})
    return list(search_mistakes(spec.model_copy(update={"search": search}), sound=True))


def _text(part: Named) -> str:
    return ",".join([part.name, *(f"{name}={value}" for name, value in part.options.items())])


def _as_it_was(recording: Recording) -> Recording:
    """A trial that ends where its record ends: there it was given up."""
    return replace(recording, ending=Ending.PRUNED) if recording.ending is Ending.UNKNOWN else recording
