"""How a study is shown while it runs. A view takes events and gives nothing back."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from searcher.events import View


def choose_view(as_json: bool, live: bool) -> AbstractContextManager[View]:
    """JSON lines when asked for; a `live` table on a terminal; else one line per event."""
    if as_json:
        from searcher.views.json_lines import JsonView

        return JsonView(sys.stdout)
    if live and sys.stdout.isatty():
        from searcher.views.live import LiveView

        return LiveView()
    from searcher.views.lines import LineView

    return LineView(sys.stdout)
