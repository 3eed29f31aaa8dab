"""What `searcher rehearse` does: a finished study under other settings, from its record alone."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.errors import SearcherError
from searcher.pairs import pairs_of

if TYPE_CHECKING:
    from searcher.spec import Named, StudySpec
    from searcher.trial import TrialResult


def rehearse_command(arguments: argparse.Namespace) -> int:
    """Replay the recorded curves of a study before other pruners and samplers."""
    from searcher.opening import load_study, recorded_name
    from searcher.rehearsal.compare import Wanted, rehearsal_of
    from searcher.rehearsal.words import caveats, conclusion
    from searcher.trial import searched
    from searcher.views.fitting import roomy_console
    from searcher.views.rehearsal import rehearsal_view

    for option in ("seeds", "trials", "slots"):
        given = getattr(arguments, option)
        if given is not None and given < 1:
            raise SearcherError(f"--{option} needs a whole number from 1, but got {given}")
    wanted = Wanted(
        _part(arguments.sampler, "--sampler"),
        _part(arguments.pruner, "--pruner"),
        arguments.seeds,
        arguments.trials,
        arguments.slots,
    )
    store = load_study(recorded_name(arguments.study), arguments.storage)
    results = searched(store.results())  # a repeat is no point that a sampler has chosen
    noise = _noise(store.spec, results, Path(arguments.runs) / store.spec.name)
    rehearsal = rehearsal_of(store.spec, results, noise, wanted)
    if arguments.json:
        said = {"conclusion": conclusion(rehearsal), "caveats": caveats(rehearsal)}
        print(json.dumps({**rehearsal.to_dict(), **said}, indent=1))
    else:
        roomy_console().print(rehearsal_view(rehearsal))
    return 0


def _part(given: str | None, option: str) -> Named | None:
    """A sampler or pruner with its options: `asha` or `asha,min_resource=2`."""
    from searcher.spec import Named

    if given is None:
        return None
    name, *options = given.split(",")
    return Named(**{**pairs_of(options, option), "name": name})


def _noise(spec: StudySpec, results: list[TrialResult], runs: Path) -> float | None:
    """How far two values like the best lie apart by chance, as the report has it; None when not known."""
    from searcher.report.numbers.cases import recorded_signals
    from searcher.report.numbers.sureness import spread_of
    from searcher.summary import best_result

    best = best_result(spec, results)
    if best is None:
        return None
    spread = spread_of(spec, results, best, recorded_signals(runs)(best, [spec.metric.name]))
    return None if spread is None else math.sqrt(2) * spread.half_width
