"""Draw the README's picture: the live view of a real run of the digits-mlp study.

python scripts/picture.py docs/pictures/live.svg
"""

from __future__ import annotations

import re
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console

from searcher.catalog import find_study
from searcher.events import Event, TrialEnded, TrialProgressed
from searcher.spec import read_spec
from searcher.study import Places, run_study
from searcher.views.live import LiveView

COLUMNS = 124
EARLIEST = 0.25
"""Share of the trials that have ended when the picture is taken."""


class Photographer:
    """Passes every event to the live view and keeps one picture of it, as SVG."""

    def __init__(self, trials: int, slots: int) -> None:
        self.svg = ""
        self._screen = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
        self._view = LiveView(self._screen)
        self._wanted = trials * EARLIEST
        self._slots = slots
        self._ended = 0
        self._at_work: set[int] = set()

    def __call__(self, event: Event) -> None:
        """Show the event; take the picture when enough has ended and every slot has something to show."""
        self._view(event)
        match event:
            case TrialProgressed(number, course, True):
                if course.epoch >= course.of_epochs / 6:
                    self._at_work.add(number)
            case TrialEnded(result, _):
                self._ended += 1
                self._at_work.discard(result.number)
        if not self.svg and self._ended >= self._wanted and len(self._at_work) >= self._slots:
            self._screen.print(self._view)
            self.svg = without_fonts(self._screen.export_svg(title="searcher run digits-mlp"))


def without_fonts(svg: str) -> str:
    """The picture without the fonts it would fetch: the reader's own will do."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main(target: Path) -> None:
    """Run the study in a folder of its own, then write the picture."""
    spec = read_spec(find_study("digits-mlp"), {"dispatch": {"slots": 2}})
    photographer = Photographer(spec.search.trials or 0, spec.dispatch.slots or 1)
    with tempfile.TemporaryDirectory() as folder:
        places = Places(f"sqlite:///{folder}/studies.db", None, Path(folder) / "searcher-runs")
        run_study(spec, places, photographer)
    if not photographer.svg:
        raise SystemExit("the study ended before there was a picture worth taking")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(photographer.svg, encoding="utf-8")
    print(f"wrote {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures/live.svg"))
