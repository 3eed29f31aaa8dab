"""The command line: words for the same functions. Loads nothing heavy before a command is chosen."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from searcher.defaults import RUNS, STORAGE, TRACKING, UI_HOST, UI_PORT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 when all went well, 2 for something a person has to mend."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 2
    from searcher import commands, control_commands, record_commands, rehearse_command
    from searcher.errors import SearcherError
    from trainers.errors import TrainerError

    try:
        name = f"{arguments.command}_command"
        modules = (commands, record_commands, control_commands, rehearse_command)
        command = next(getattr(module, name) for module in modules if hasattr(module, name))
        return int(command(arguments))
    except (SearcherError, TrainerError) as error:
        print(f"searcher: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="searcher", description="Hyperparameter search for PyTorch with a diagnosis for every trial."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="the version that is installed")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    commands.add_parser("list", help="the studies that come along")

    run = commands.add_parser("run", help="run a study, or go on with it")
    run.add_argument(
        "study", metavar="STUDY", help="a name from 'searcher list', or the path of a .toml file"
    )
    _add_places(run)
    _add_run_options(run)

    status = commands.add_parser("status", help="every recorded study, or one, in a few lines")
    status.add_argument("study", metavar="STUDY", nargs="?", help="the name of a recorded study")
    _add_storage(status)

    show = commands.add_parser("show", help="a recorded study: its space and all of its trials")
    show.add_argument("study", metavar="STUDY", help="the name of a recorded study")
    _add_storage(show)

    best = commands.add_parser("best", help="the best settings of a study, as TOML")
    best.add_argument("study", metavar="STUDY", help="the name of a recorded study")
    best.add_argument("--model", metavar="FILE", help="also save the best trial's weights to FILE")
    best.add_argument("--trial", type=int, metavar="N", help="this one of a Pareto front (several metrics)")
    best.add_argument("--runs", default=RUNS, metavar="DIR", help="folder of the trials' files (%(default)s)")
    _add_storage(best)

    _add_diagnose(commands)
    _add_report(commands)
    _add_rehearse(commands)

    _add_record(commands)
    _add_control(commands)
    return parser


class _Version(argparse.Action):
    """Prints the version; looking it up takes time, so only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(version("searcher"))
        parser.exit()


def _add_storage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--storage", default=STORAGE, metavar="URL", help="Optuna's store (%(default)s)")


def _add_places(parser: argparse.ArgumentParser) -> None:
    _add_storage(parser)
    parser.add_argument(
        "--tracking-uri", default=TRACKING, metavar="URI", help="MLflow's store (%(default)s)"
    )
    parser.add_argument("--no-tracking", action="store_true", help="keep no record in MLflow")
    parser.add_argument(
        "--runs", default=RUNS, metavar="DIR", help="folder of the trials' files (%(default)s)"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the data (or set SEARCHER_DATA)")


def _add_diagnose(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    diagnose = commands.add_parser(
        "diagnose", help="what trials suffered from, by today's rules; or any MLflow run, by its curves"
    )
    diagnose.add_argument(
        "study",
        metavar="STUDY",
        help="the name of a recorded study, or the id of an MLflow run (32 hex digits)",
    )
    diagnose.add_argument("trial", metavar="TRIAL", nargs="?", type=int, help="one trial, with all evidence")
    diagnose.add_argument(
        "--runs", default=RUNS, metavar="DIR", help="folder of the trials' files (%(default)s)"
    )
    diagnose.add_argument(
        "--tracking-uri", default=TRACKING, metavar="URI", help="MLflow's store, for a run (%(default)s)"
    )
    diagnose.add_argument("--json", action="store_true", help="the reports as JSON")
    _add_storage(diagnose)


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report", help="what a study has taught, as a page: curves, causes, what next"
    )
    report.add_argument("study", metavar="STUDY", help="the name of a recorded study")
    report.add_argument("--open", action="store_true", help="show the page in a browser")
    report.add_argument(
        "--format", default="html,md,json", metavar="LIST", help="any of html, md, json (%(default)s)"
    )
    report.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: that of the study's files)"
    )
    report.add_argument(
        "--runs", default=RUNS, metavar="DIR", help="folder of the trials' files (%(default)s)"
    )
    report.add_argument(
        "--tracking-uri", default=TRACKING, metavar="URI", help="MLflow's store, for links (%(default)s)"
    )
    _add_storage(report)


def _add_rehearse(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rehearse = commands.add_parser(
        "rehearse", help="what other pruners and samplers would have made of a finished study"
    )
    rehearse.add_argument("study", metavar="STUDY", help="the name of a recorded study")
    part = "NAME[,OPTION=VALUE]"
    rehearse.add_argument("--sampler", metavar=part, help="that asks for points (default: the study's order)")
    rehearse.add_argument("--pruner", metavar=part, help="that gives trials up (default: the study's)")
    rehearse.add_argument("--seeds", type=int, default=10, metavar="N", help="of a sampler (%(default)s)")
    rehearse.add_argument("--trials", type=int, metavar="N", help="trials to go through (default: all)")
    rehearse.add_argument("--slots", type=int, metavar="N", help="trials at once (default: as it was run)")
    rehearse.add_argument(
        "--runs", default=RUNS, metavar="DIR", help="folder of the trials' files (%(default)s)"
    )
    rehearse.add_argument("--json", action="store_true", help="all numbers as JSON")
    _add_storage(rehearse)


def _add_record(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    ui = commands.add_parser("ui", help="open MLflow's pages on the record")
    ui.add_argument(
        "study", metavar="STUDY", nargs="?", help="a study whose saved views are linked (default: all)"
    )
    ui.add_argument("--host", default=UI_HOST, help="address to serve on (%(default)s)")
    ui.add_argument("--port", type=int, default=UI_PORT, help="port to serve on (%(default)s)")
    verify = commands.add_parser("verify", help="hold MLflow's record of a study against Optuna's store")
    repair = commands.add_parser("repair", help="bring MLflow's record to what Optuna's store knows")
    for command in (verify, repair):
        command.add_argument("study", metavar="STUDY", help="the name of a recorded study")
        command.add_argument(
            "--runs", default=RUNS, metavar="DIR", help="folder of the trials' files (%(default)s)"
        )
        _add_storage(command)
    for command in (ui, verify, repair):
        command.add_argument(
            "--tracking-uri", default=TRACKING, metavar="URI", help="MLflow's store (%(default)s)"
        )


def _add_control(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pause = commands.add_parser("pause", help="tell a running study to begin no more trials")
    resume = commands.add_parser("resume", help="tell a paused study to go on")
    stop = commands.add_parser("stop", help="tell a running study, or one of its trials, to end")
    enqueue = commands.add_parser("enqueue", help="queue a point that a study shall try next")
    for command in (pause, resume, stop, enqueue):
        command.add_argument("study", metavar="STUDY", help="the name of a recorded study")
        _add_storage(command)
    for command in (pause, stop):
        command.add_argument(
            "--now", action="store_true", help="put running trials back into the queue, not waiting for them"
        )
    stop.add_argument("--trial", type=int, metavar="N", help="end this trial alone; what it reached counts")
    enqueue.add_argument(
        "values", metavar="NAME=VALUE", nargs="+", help="settings of the space; the others are sampled"
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, metavar="N", help="trials the study has in all")
    parser.add_argument("--hours", type=float, metavar="H", help="hours the study may take in all")
    parser.add_argument("--name", metavar="NAME", help="record the study under another name")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the search")
    parser.add_argument(
        "--confirm", type=int, metavar="N", help="other seeds for the leading trials before one is named"
    )
    parser.add_argument(
        "--from",
        action="append",
        default=[],
        dest="warm_start",
        metavar="STUDY",
        help="a recorded study whose trials guide this one from its start; may be repeated",
    )
    parser.add_argument(
        "--from-storage", metavar="URL", help="Optuna's store of those studies (default: --storage)"
    )
    parser.add_argument("--slots", type=int, metavar="N", help="trials at once (one per GPU or core)")
    parser.add_argument("--slots-per-device", metavar="N", help="trials at once on each GPU, or 'auto'")
    parser.add_argument("--devices", metavar="LIST", help="GPUs to use, such as 0,1, or cpu (default: all)")
    parser.add_argument("--memory-gb", type=float, metavar="GB", help="host memory a worker may take")
    parser.add_argument("--launcher", metavar="NAME", help="where trials train: local, inprocess or ray")
    parser.add_argument("--address", metavar="ADDRESS", help="of the Ray cluster to join, for --launcher ray")
    parser.add_argument(
        "--trainer", metavar="NAME", help="module:function, or replay:FILE for a table of recorded trainings"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a fixed setting; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each event")


if __name__ == "__main__":
    sys.exit(main())
