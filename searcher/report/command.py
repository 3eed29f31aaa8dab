"""What `searcher report` does: the report on a recorded study, written into files."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

from searcher.budget import exhausted, used_device_hours, used_hours
from searcher.defaults import RUNS
from searcher.errors import SearcherError, TrackingError
from searcher.opening import load_study
from searcher.report import RENDERERS, write
from searcher.report.words import counted
from searcher.sampling import count_points
from searcher.trial import searched
from trainers.choices import unknown

SAYS = {
    "html": "the page: open it in a browser",
    "md": "the same as text",
    "json": "all numbers, for programs",
}
"""What a person does with each format."""


def report_study(
    name: str, storage: str, tracking: str, runs: str, out: str | None, formats: str, show: bool
) -> None:
    """Write the report on a recorded study, keep it with the study's run in MLflow where there is one, and
    print where it is; with `show` open its page.

    Raises: NotFound when there is no such study; SearcherError for a format that is not known, or a file
    that cannot be written.
    """
    from searcher.report.numbers.build import build
    from searcher.tracking import keep_report, usual_links

    chosen = chosen_formats(formats)
    if show and "html" not in chosen:
        raise SearcherError(f"--open shows the page, but --format has no html: {formats}")
    store = load_study(name, storage)
    results, folder = store.results(), Path(runs or RUNS) / store.spec.name
    search = searched(results)
    hours, device_hours = used_hours(search), used_device_hours(search)
    ended = exhausted(store.spec.search, len(search), hours, device_hours, count_points(store.spec))
    views = usual_links(tracking, store.spec.name)
    report = build(store.spec, results, folder, ended=ended, views=views)
    files = write(report, Path(out) if out else folder, chosen)
    try:
        keep_report(tracking, store.spec, files)
    except TrackingError as error:
        print(f"searcher: {error}", file=sys.stderr)  # the files are there all the same
    print(f"the report on {counted(len(search), 'trial')} of {name}:")
    for file in files:
        print(f"  {file}  {SAYS[file.suffix[1:]]}")
    print(f"compare its trials in MLflow: searcher ui {store.spec.name}")
    for shows, address in views.items():
        print(f"  {shows}: {address}")
    if show:
        page = next(file for file in files if file.suffix == ".html")
        if not webbrowser.open(page.resolve().as_uri()):
            print("no browser could be opened here; open the page on another machine")


def chosen_formats(text: str) -> list[str]:
    """The formats of a comma-separated list, each once. Raises: SearcherError for one that is not known."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in RENDERERS:
            raise SearcherError(
                f"--format takes one or several of {', '.join(RENDERERS)}: {unknown(name, RENDERERS)}"
            )
    if not names:
        raise SearcherError(f"--format takes one or several of {', '.join(RENDERERS)}, but got {text!r}")
    return names
