"""`python -m diagnostics FILE`: the diagnosis of a recorded training, or of plain loss curves."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from diagnostics.curves import CurveError, read_csv
from diagnostics.diagnose import diagnose
from diagnostics.findings import Facts
from diagnostics.report import to_dict, to_text
from diagnostics.signals import COUNTED, Signals

RECORDED = ".npz"
"""How files of signals end; anything else is read as CSV."""

DESCRIPTION = """\
Say what the numbers of a training mean: one verdict, and what was found, with its evidence.

FILE is what `monitor.signals.save` wrote (.npz), or a CSV file with a header: a column step or epoch
(or none), and loss, train_loss, val_loss, val_accuracy, or what other tools call them. A CSV file can
also come through a pipe: - reads standard input."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the diagnosis of a file; the exit code is 0, or 2 when the file or an option is no good."""
    options = _parser().parse_args(arguments)
    try:
        code = _diagnose(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _diagnose(options: argparse.Namespace) -> int:
    try:
        signals = _read(Path(options.file))
        facts = _facts(options, signals)
    except CurveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {options.file} cannot be read: {error.strerror or error}", file=sys.stderr)
        return 2
    report = diagnose(Signals(signals), facts)
    unit = str(signals.facts.get(COUNTED, "step"))
    print(
        json.dumps({COUNTED: unit, **to_dict(report)}, indent=1)
        if options.json
        else to_text(report, unit=unit)
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diagnostics",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="signals.npz, or curves in a CSV file, or -")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--ended",
        choices=("finished", "stopped", "failed", "running"),
        help="how the training ended; what the file says of it, else finished",
    )
    parser.add_argument("--task", choices=("classification", "regression", "other"), help="what is learnt")
    parser.add_argument("--outputs", type=_outputs, metavar="N", help="classes, or numbers that are foretold")
    parser.add_argument(
        "--trivial-loss",
        type=_loss,
        metavar="X",
        help="loss of the best constant answer; for classes in equal shares log N",
    )
    return parser


def _outputs(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1; give the number of classes")
    return int(text)


def _loss(text: str) -> float:
    try:
        loss = float(text)
    except ValueError:
        loss = math.nan
    if not 0 <= loss < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0; give the loss of a constant answer")
    return loss


def _read(path: Path) -> Signals:
    if path.suffix != RECORDED:
        return read_csv(path)
    damage: Exception | None = None
    try:
        signals = Signals.load(path)
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        damage, signals = error, Signals()
    if not signals:
        raise CurveError(
            f"{path} holds no signals, or is damaged; give a file that `monitor.signals.save` wrote, or "
            "curves in a CSV file"
        ) from damage
    return signals


def _facts(options: argparse.Namespace, signals: Signals) -> Facts:
    """What the options say beside the facts of the file."""
    said = {"task": options.task, "outputs": options.outputs, "trivial_loss": options.trivial_loss}
    facts: dict[str, float | int | str] = {name: value for name, value in said.items() if value is not None}
    if options.outputs is not None and options.task is None and "task" not in signals.facts:
        facts["task"] = "classification"
    task = facts.get("task", signals.facts.get("task"))
    if options.trivial_loss == 0 and task == "classification":
        raise CurveError(
            "--trivial-loss is 0, but a constant answer to several classes costs more; give the entropy of "
            "the classes, log N for N of them in equal shares, or leave it out"
        )
    ended = options.ended or str(signals.facts.get("ended", "finished"))
    facts = {**signals.facts, **facts, "ended": ended}
    return {name: value for name, value in facts.items() if (name, value) != ("ended", "running")}


if __name__ == "__main__":
    sys.exit(main())
