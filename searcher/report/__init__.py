"""The convergence report of a study: numbers first, then pages made from them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from searcher.errors import SearcherError
from searcher.records import REPORTS
from searcher.report.pages.html import to_html
from searcher.report.pages.markdown import to_markdown
from searcher.report.pages.plain import to_json
from searcher.report.study_report import StudyReport

RENDERERS: Mapping[str, Callable[[StudyReport], str]] = {
    "html": to_html,
    "md": to_markdown,
    "json": to_json,
}
"""The ending of a file's name -> how a report becomes its text."""

FILES: Mapping[str, str] = {Path(name).suffix[1:]: name for name in REPORTS}
"""The ending of a file's name -> the name."""


def write(report: StudyReport, folder: Path, formats: Iterable[str] = tuple(RENDERERS)) -> list[Path]:
    """Write the report into a folder, a file for each format; the files, in the order of the formats.

    A file is written beside its place and then renamed: whoever reads it never sees half of it, and when
    several write it the last one stays.

    Raises: SearcherError when a file cannot be written.
    """
    written = []
    for format_ in formats:
        file = folder / FILES[format_]
        beside = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            beside.write_text(RENDERERS[format_](report), encoding="utf-8")
            beside.replace(file)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise SearcherError(
                f"the report cannot be written to {file}: {error.strerror or error}; "
                "free some disk space or name another folder with --out"
            ) from error
        written.append(file)
    return written
