"""What each command of the command line does. Heavy packages are loaded by the command that needs them."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from searcher.defaults import RUNS, STORAGE, TRACKING
from searcher.errors import NotFound, SearcherError
from searcher.pairs import pairs_of

if TYPE_CHECKING:
    from searcher.spec import StudySpec
    from searcher.trial import TrialResult


def list_command(_arguments: argparse.Namespace) -> int:
    """The studies that come along."""
    from searcher.catalog import shipped

    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("study", no_wrap=True)
    table.add_column("question")
    for entry in shipped():
        table.add_row(entry.name, entry.question)
    Console().print(table)
    print("\nrun one with: searcher run STUDY; the path of your own .toml file works as well")
    return 0


def run_command(arguments: argparse.Namespace) -> int:
    """Run a study, or go on with it."""
    from searcher.catalog import find_study
    from searcher.checks import check_sources, read_checked
    from searcher.study import Places, run_study
    from searcher.views import choose_view

    path = find_study(arguments.study)
    sys.path.append(str(path.parent.resolve()))  # own code may lie beside its study file
    spec = read_checked(path, _changes(arguments))
    check_sources(spec)
    tracking = None if arguments.no_tracking else arguments.tracking_uri
    places = Places(arguments.storage, tracking, Path(arguments.runs), earlier=arguments.from_storage)
    with choose_view(arguments.json, live=spec.dispatch.launcher != "inprocess") as view:
        results = run_study(spec, places, view)
    if not arguments.json:
        _print_end(spec, results, arguments, tracking)
    return 0


def status_command(arguments: argparse.Namespace) -> int:
    """Every recorded study, or one, in a few lines."""
    from searcher.opening import load_study, recorded_name, recorded_names
    from searcher.summary import best_line, best_word, confirm_line, outcome_counts, verdict_counts
    from searcher.trial import searched

    names = [recorded_name(arguments.study)] if arguments.study else recorded_names(arguments.storage)
    if not names:
        print(f"no study is recorded in {arguments.storage}; start one with: searcher run digits-mlp")
    for name in names:
        store = load_study(name, arguments.storage)
        results = store.results()
        search = searched(results)
        counts = [f"{count} {outcome}" for outcome, count in outcome_counts(search).items()]
        counts += [f"{len(left)} running or queued"] if (left := store.unfinished()) else []
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(search).items())
        budget = store.spec.search.trials
        trials = len(search)
        done = f"{trials} of {budget} trials" if budget is not None else f"{trials} trials"
        again = [f"{len(results) - trials} repeats"] if len(results) > trials else []
        print(f"{name}: {', '.join([done, *counts, *again])}")
        print(f"  {best_word(store.spec)}: {best_line(store.spec, results)}")
        if line := confirm_line(store.spec, results):
            print(f"  confirmed: {line}")
        if verdicts:
            print(f"  verdicts: {verdicts}")
    return 0


def show_command(arguments: argparse.Namespace) -> int:
    """A recorded study: its space and all of its trials."""
    from searcher.naming import short_settings
    from searcher.opening import load_study, recorded_name
    from searcher.summary import audit_text, confirm_line
    from searcher.views.fitting import Trimmed, roomy_console
    from searcher.views.tables import space_table, trials_table

    store = load_study(recorded_name(arguments.study), arguments.storage)
    console, results = roomy_console(), store.results()
    console.print(Text(store.spec.name, style="bold"), Text(store.spec.question))
    console.print(Trimmed(space_table(store.spec)), "")
    console.print(trials_table(store.spec, results, console.width))
    if line := confirm_line(store.spec, results):
        console.print(Text(f"\nconfirmed: {line}"))
    if line := audit_text(store.spec, results):
        console.print(Text(f"\naudit: {line}"))
    for number, point in store.unfinished():
        console.print(Text(f"trial {number} is running or queued: {short_settings(point.sampled)}"))
    if any(result.reason for result in results):
        print(f"\nwhy a trial ended as it did: searcher diagnose {arguments.study} TRIAL")
    return 0


def best_command(arguments: argparse.Namespace) -> int:
    """The best settings as TOML, or those of one trial of the Pareto front; with `--model` its weights
    too.
    """
    from searcher.opening import load_study, recorded_name
    from searcher.records import WEIGHTS, trial_folder
    from searcher.summary import best_line, best_settings, chosen_best, settings_toml

    store = load_study(recorded_name(arguments.study), arguments.storage)
    results = store.results()
    best, said = chosen_best(store.spec, results, arguments.trial)
    if best is None:
        raise NotFound(f"study {arguments.study!r} has no best trial: {best_line(store.spec, results)}")
    print("\n".join(f"# {line}" for line in said))
    print(settings_toml(best_settings(store.spec, best)), end="")
    if arguments.model:
        weights = trial_folder(Path(arguments.runs) / store.spec.name, best.number) / WEIGHTS
        if not weights.exists():
            raise NotFound(
                f"the weights of trial {best.number} are not at {weights}; "
                f"name the folder of the trials' files with --runs{_unkept(store.spec)}"
            )
        _copy(weights, Path(arguments.model))
        print(f"saved the weights of trial {best.number} to {arguments.model}", file=sys.stderr)
    return 0


def _unkept(spec: StudySpec) -> str:
    """Why weights may be missing, where that may be by design."""
    from searcher.ledger import KEPT_FRONT

    if not spec.is_several:
        return ""
    return f". Of a Pareto front the weights of {KEPT_FRONT} trials are kept, spread over it"


def diagnose_command(arguments: argparse.Namespace) -> int:
    """What recorded trainings suffered from: all trials of a study, one of them, or any run in MLflow."""
    if re.fullmatch("[0-9a-f]{32}", arguments.study):
        return _diagnose_run(arguments)
    from searcher.opening import load_study, recorded_name
    from searcher.replay import replayed
    from searcher.views.diagnosis import causes_table, trial_data, trial_text
    from searcher.views.fitting import Trimmed, roomy_console

    store = load_study(recorded_name(arguments.study), arguments.storage)
    runs, results = Path(arguments.runs) / store.spec.name, store.results()
    if arguments.trial is not None:
        results = [_trial(store.spec.name, results, arguments.trial)]
    judged = [(result, replayed(runs, result)) for result in results]
    if arguments.json:
        data = [trial_data(result, report) for result, report in judged]
        print(json.dumps(data if arguments.trial is None else data[0], indent=1))
    elif arguments.trial is not None:
        print(trial_text(*judged[0], Console().width))
    else:
        console = roomy_console()
        console.print(Trimmed(causes_table(judged, console.width)))
        print(f"\nthe whole report of a trial: searcher diagnose {arguments.study} TRIAL")
    return 0


def _diagnose_run(arguments: argparse.Namespace) -> int:
    from diagnostics import diagnose
    from diagnostics.report import to_dict
    from searcher.tracking import read_run
    from searcher.views.diagnosis import report_text, run_head

    if arguments.trial is not None:
        raise SearcherError(f"an MLflow run has no trials: leave out {arguments.trial}")
    run = read_run(arguments.tracking_uri, arguments.study)
    report = diagnose(run.signals)
    if arguments.json:
        data = {
            "run": arguments.study,
            "metrics": run.metrics,
            "counted": run.unit,
            "report": to_dict(report),
        }
        print(json.dumps(data, indent=1))
    else:
        print(f"{run_head(run)}\n\n{report_text(report, Console().width, run.unit)}")
    return 0


def _trial(study: str, results: Sequence[TrialResult], number: int) -> TrialResult:
    found = next((result for result in results if result.number == number), None)
    if found is None:
        there = ", ".join(str(result.number) for result in results[:20]) or "none"
        more = ", ..." if len(results) > 20 else ""
        raise NotFound(f"study {study!r} has no finished trial {number}; finished are: {there}{more}")
    return found


def report_command(arguments: argparse.Namespace) -> int:
    """What a study has taught, written into files."""
    from searcher.opening import recorded_name
    from searcher.report.command import report_study

    name = recorded_name(arguments.study)
    report_study(
        name,
        arguments.storage,
        arguments.tracking_uri,
        arguments.runs,
        arguments.out,
        arguments.format,
        arguments.open,
    )
    return 0


def _changes(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What the options change in the study file: section -> setting -> value."""
    given = {
        "": {"name": arguments.name},
        "train": {
            "data_dir": arguments.data_dir,
            "trainer": arguments.trainer,
            **pairs_of(arguments.set, "--set"),
        },
        "search": {
            "trials": arguments.trials,
            "hours": arguments.hours,
            "seed": arguments.seed,
            "confirm": arguments.confirm,
            "warm_start": _studies(arguments.warm_start),
        },
        "dispatch": {
            "slots": arguments.slots,
            "launcher": arguments.launcher,
            "slots_per_device": _number_or_text(arguments.slots_per_device),
            "devices": None if arguments.devices is None else arguments.devices.split(","),
            "memory_gb": arguments.memory_gb,
            "address": arguments.address,
        },
    }
    return {
        section: {name: value for name, value in values.items() if value is not None}
        for section, values in given.items()
    }


def _studies(given: Sequence[str]) -> list[str] | None:
    """Names of recorded studies, each in one option or several in one with commas; None for none."""
    from searcher.opening import recorded_name

    return [recorded_name(name.strip()) for names in given for name in names.split(",")] or None


def _number_or_text(given: str | None) -> int | str | None:
    return int(given) if given is not None and given.isdigit() else given


def _print_end(spec: Any, results: Any, arguments: argparse.Namespace, tracking: str | None) -> None:
    from searcher.trial import searched
    from searcher.views.tables import end_of_study, next_looks

    console = Console()
    console.print(end_of_study(spec, results))
    elsewhere = "" if arguments.storage == STORAGE else f" --storage {arguments.storage}"
    files = "" if arguments.runs == RUNS else f" --runs {arguments.runs}"
    budget, trials = spec.search.trials, len(searched(results))
    best = "the Pareto front, and settings of it" if spec.is_several else "the best settings"
    if budget is not None and trials < budget:
        print(f"{trials} of {budget} trials are done; the same command goes on")
    looks = [
        (f"searcher report {spec.name} --open{elsewhere}{files}", "what the study has taught, as a page"),
        (f"searcher show {spec.name}{elsewhere}", "every trial and what became of it"),
        (f"searcher diagnose {spec.name}{elsewhere}{files}", "what trials suffered from, with the evidence"),
        (f"searcher best {spec.name}{elsewhere}{files}", f"{best} as TOML"),
    ]
    if tracking is not None:
        uri = "" if tracking == TRACKING else f" --tracking-uri {tracking}"
        looks.append((f"searcher ui {spec.name}{uri}", "compare the trials in MLflow"))
    print("where to look next:")
    console.print(next_looks(looks, console.width))


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise SearcherError(f"the weights cannot be saved to {target}: {error.strerror}") from None
