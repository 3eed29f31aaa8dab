"""How long a person waits for `searcher --help` and for `import diagnostics`, over an empty Python."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.rows import Result, row, to_text

HELP_SECONDS = 0.3
"""Most that the help may take: what a person still feels as at once (house rule)."""

EMPTY = [sys.executable, "-c", "pass"]
DOORS = {
    "searcher --help": [str(Path(sys.executable).with_name("searcher")), "--help"],
    "import diagnostics": [sys.executable, "-c", "import diagnostics"],
    "import numpy": [sys.executable, "-c", "import numpy"],
}


def measure(repeats: int = 11) -> Result:
    """The doors by turns, each repeat beside an empty Python of its own."""
    ours: dict[str, list[float]] = {name: [] for name in DOORS}
    bare: dict[str, list[float]] = {name: [] for name in DOORS}
    for repeat in range(repeats + 1):  # the first one warms the file cache
        for name, command in DOORS.items():
            empty, door = _seconds(EMPTY), _seconds(command)
            if repeat:
                bare[name].append(empty)
                ours[name].append(door)
    rows = [
        row(name, ours[name], bare[name], HELP_SECONDS if name == "searcher --help" else None, True)
        for name in DOORS
    ]
    about = (
        "Wall time of a whole process over that of `python -c pass`. `import numpy` stands beside "
        "`import diagnostics` because the diagnostics are built on it."
    )
    return Result("Doors: waiting for a process", about, rows)


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(to_text(measure()))
