"""Where a study runs: versions, machine, command and the commit of the folder; kept with its files."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from searcher.addresses import hide_passwords

PACKAGES = ("searcher", "torch", "optuna", "mlflow", "numpy", "scikit-learn")
"""Packages whose versions a result may hang on."""

GIT_SECONDS = 5.0
"""Seconds that git may take: nothing waits for it."""

LONGEST = 1000
"""Characters of a command that are kept."""

FILE = "environment.json"
"""Where it is kept, in the folder of the study."""


@dataclass(frozen=True)
class Environment:
    """Versions by package, the machine, the command without passwords, and the commit, empty where there is
    none."""

    versions: Mapping[str, str]
    machine: str
    command: str
    git_commit: str

    def keep(self, runs: Path) -> None:
        """Write it into the folder of a study; where that fails, it is not kept."""
        try:
            runs.mkdir(parents=True, exist_ok=True)
            (runs / FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        except OSError:
            return  # the study itself tells of a folder that cannot be written


def environment_of(runs: Path) -> Environment:
    """The environment in which a study was last run; where it is not known, that of this process."""
    try:
        return Environment(**json.loads((runs / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return environment()


def environment() -> Environment:
    """That of this process."""
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    return Environment(
        versions={"python": platform.python_version(), **versions},
        machine=f"{platform.node()}, {platform.platform()}, {os.cpu_count()} cores",
        command=hide_passwords(" ".join(sys.argv))[:LONGEST],
        git_commit=_git_commit(),
    )


def _git_commit() -> str:
    """The commit of the working folder, and whether files differ from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit} (with changes)" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, timeout=GIT_SECONDS
    )
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
