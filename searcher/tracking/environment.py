"""Where a study ran, for its record: versions, machine, and the commit of the working folder."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata

PACKAGES = ("searcher", "torch", "optuna", "mlflow", "numpy", "scikit-learn")

GIT_SECONDS = 5


@cache
def source_tags() -> dict[str, str]:
    """Who made a run and from which code, as MLflow's pages show it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    tags = {"mlflow.user": user, "mlflow.source.name": "searcher", "mlflow.source.type": "LOCAL"}
    commit = git_commit()
    return {**tags, "mlflow.source.git.commit": commit} if commit else tags


@cache
def environment_tags() -> dict[str, str]:
    """The machine, the versions and the command."""
    versions = {f"version.{name}": version for name in PACKAGES if (version := _version(name))}
    return {
        **versions,
        "version.python": platform.python_version(),
        "machine": f"{platform.node()}, {platform.platform()}, {os.cpu_count()} cores",
        "command": " ".join(sys.argv)[:1000],
    }


@cache
def git_commit() -> str:
    """The commit of the working folder, empty where there is none."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
