"""Where a study ran, as tags of its record."""

from __future__ import annotations

import getpass
from functools import cache

from searcher.environment import environment


@cache
def source_tags() -> dict[str, str]:
    """Who made a run and from which code, as MLflow's pages show it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    tags = {"mlflow.user": user, "mlflow.source.name": "searcher", "mlflow.source.type": "LOCAL"}
    commit = environment().git_commit.partition(" ")[0]
    return {**tags, "mlflow.source.git.commit": commit} if commit else tags


def environment_tags() -> dict[str, str]:
    """The machine, the versions and the command."""
    here = environment()
    versions = {f"version.{name}": version for name, version in here.versions.items()}
    return {**versions, "machine": here.machine, "command": here.command}
