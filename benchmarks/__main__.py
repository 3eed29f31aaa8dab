"""Every benchmark, one after the other: shown on the terminal and written to `RESULTS.md`."""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread on both sides, before torch is loaded

from benchmarks import compiled, control, doors, machine, probe, scale, step, tracking
from benchmarks.rows import Result, to_markdown, to_text

RESULTS = Path(__file__).with_name("RESULTS.md")

HEAD = """# Benchmarks

Written by `make bench`. Every figure is a ratio within one run: what is compared ran by turns on the same
machine, and the medians are shown with the quartiles. On a busy machine look at the quartiles first.
"""

KEPT = "<!-- what follows is measured by commands of its own, and kept -->"
"""A line of the file from which on nothing is written anew."""


def main() -> None:
    """Run, show, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="5,000 trials and an MLflow server too (long)")
    parser.add_argument("--device", default="cpu", help="of the trainer's step: cpu, cuda or mps")
    given = parser.parse_args()
    load = machine.describe_load()
    results = []
    for measure in _benchmarks(given.full, given.device):
        results.append(measure())
        print(to_text(results[-1]), end="\n\n", flush=True)
    facts = [
        f"- date: {datetime.date.today():%Y-%m-%d}",
        f"- machine: {machine.describe_machine()}",
        f"- before the run: {load}; after it: {machine.describe_load()}",
        f"- versions: {machine.describe_versions()}",
    ]
    written = "\n\n".join([HEAD + "\n" + "\n".join(facts), *map(to_markdown, results)]) + "\n"
    RESULTS.write_text(written + kept(RESULTS.read_text() if RESULTS.exists() else ""))
    print(f"written to {RESULTS.parent.name}/{RESULTS.name}")


def kept(before: str) -> str:
    """What of the file is not written anew."""
    _, mark, rest = before.partition(KEPT)
    return f"\n{mark}{rest}" if mark else ""


def _benchmarks(full: bool, device: str) -> list[Callable[[], Result]]:
    history = (1000, 5000) if full else (1000,)
    chosen: list[Callable[[], Result]] = [
        doors.measure,
        lambda: step.measure(device),
        lambda: compiled.measure(device),
        lambda: probe.measure(device),
        tracking.measure,
        lambda: control.measure(history),
        scale.measure,
    ]
    return [*chosen, lambda: tracking.measure(over_http=True)] if full else chosen


if __name__ == "__main__":
    main()
