"""The studies that come along, and how a name or a path becomes a study file. Loads nothing heavy."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from searcher.errors import NotFound
from trainers.choices import choices


@dataclass(frozen=True)
class Entry:
    """One shipped study: its name, its question and its file."""

    name: str
    question: str
    path: Path


def shipped() -> list[Entry]:
    """Every study that comes along, by name."""
    folder = Path(str(files("studies")))
    entries = []
    for path in sorted(folder.glob("*.toml")):
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        entries.append(Entry(raw["name"], raw["question"], path))
    return entries


def find_study(name: str) -> Path:
    """The file of a shipped study, or of the user's own when `name` is a path.

    Raises: NotFound with the known names.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        if path.is_file():
            return path
        raise NotFound(f"there is no study file {name!r} in {Path.cwd()}")
    known = {entry.name: entry.path for entry in shipped()}
    if name not in known:
        raise NotFound(
            f"no study is called {name!r}; {choices(name, known)}; or give the path of a .toml file"
        )
    return known[name]
