"""What makes two runs the same study, and what differs when they are not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searcher.spec import StudySpec

MACHINE = frozenset(
    ("device", "threads", "data_dir", "folder", "save_every", "state_mb", "keep_last_state", "micro_batch")
)
"""Settings that may differ between two runs of one study: they say where, not what."""


def changes_between(recorded: StudySpec, now: StudySpec) -> str:
    """What makes the two different studies, a line each; empty when they are the same."""
    return "\n".join(
        f"  {place}: recorded {before}, now {after}"
        for place, (before, after) in _differences(_identity(recorded), _identity(now)).items()
    )


def _identity(spec: StudySpec) -> dict[str, Any]:
    """What makes two runs the same study, flat: dotted place -> value."""
    train = {name: value for name, value in spec.train.items() if name not in MACHINE}
    space = {name: setting.model_dump(exclude_defaults=True) for name, setting in spec.space.items()}
    parts = {"train": train, "space": space, "metric": spec.metric.model_dump()}
    flat = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    parts_of_search = {"warm_start": spec.search.warm_start, "constraints": spec.search.constraints}
    further = {
        f"metric.{place}.{name}": value
        for place, metric in enumerate(spec.further, start=1)
        for name, value in metric.model_dump().items()
    }
    given = {f"search.{name}": value for name, value in parts_of_search.items() if value}
    return {**flat, **further, "search.seed": spec.search.seed, **given}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    places = [*before, *(place for place in after if place not in before)]
    return {
        place: (before.get(place, "nothing"), after.get(place, "nothing"))
        for place in places
        if before.get(place, "nothing") != after.get(place, "nothing")
    }
