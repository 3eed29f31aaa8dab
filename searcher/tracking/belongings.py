"""What a run holds that nobody else knows: people's own tags, figures and files, and where it was trained.

When a run is made anew it goes along; a run that was deleted can be asked for it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.tracking.axes import curve_name
from searcher.tracking.entries import NUMBER, PARENT
from searcher.tracking.environment import source_tags
from searcher.tracking.mlflow_study import MlflowStudy
from searcher.tracking.objectives import PARETO
from searcher.verify import RunRecord

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric, Run, RunInfo

COMMIT, RUN_NAME = "mlflow.source.git.commit", "mlflow.runName"

OF_RESULT = frozenset(
    (
        *("first_cause", "reason", "cause", "attempts", "metrics_dropped", "device", "audited", "spared"),
        *("confirms", "seed", "extended", PARETO),
    )
)
"""Tags that a trial's result gives, to some trials only."""

WRITTEN_ANEW = OF_RESULT | {PARENT, NUMBER, RUN_NAME}


@dataclass(frozen=True)
class Belongings:
    """What a new run takes over from a former one: `points` by metric in order, `files` a folder or None."""

    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    points: Mapping[str, Sequence[Metric]] = field(default_factory=dict)
    inputs: Sequence[DatasetInput] = ()
    files: Path | None = None

    def points_beside(self, record: RunRecord) -> list[Metric]:
        """The points that the `record` of a trial lacks: no figure it has once, none beyond its end."""
        found: list[Metric] = []
        for name, points in self.points.items():
            known = dict(record.curves.get(name, ()))
            if name not in record.metrics:
                last = max(known, default=None)
                found += [p for p in points if p.step not in known and (last is None or p.step <= last)]
        return found


NOTHING = Belongings()


def stranger_tags() -> dict[str, str]:
    """Who made a run that somebody else had trained, of unknown code."""
    return {name: text for name, text in source_tags().items() if name != COMMIT}


def belongings(study: MlflowStudy, run: Run, curves: Iterable[str], folder: Path) -> Belongings:
    """What a run holds, its artifacts in `folder`; the last point of each step of the metrics in `curves`.

    Raises: MLflow's errors when anything of it cannot be read, before anything was changed.
    """
    client, run_id = study.client, str(run.info.run_id)
    tags = {
        name: text
        for name, text in run.data.tags.items()
        if name not in WRITTEN_ANEW and not name.startswith("finding.")
    }
    named = set(map(curve_name, curves))
    points: dict[str, Sequence[Metric]] = {}
    for name in run.data.metrics:
        history = sorted(client.get_metric_history(run_id, name), key=lambda p: (p.step, p.timestamp))
        last = {point.step: point for point in history}
        points[name] = list(last.values()) if name in named else history
    for entry in client.list_artifacts(run_id):
        client.download_artifacts(run_id, entry.path, str(folder))
    return Belongings(
        str(run.info.run_name or ""),
        {**stranger_tags(), **tags},
        run.data.params,
        points,
        run.inputs.dataset_inputs if run.inputs else (),
        folder,
    )


def give(study: MlflowStudy, run: RunInfo, kept: Belongings, record: RunRecord) -> None:
    """Write into a new run what another one held beyond its `record`, but for tags and points."""
    study.write_params(run.run_id, {k: v for k, v in kept.params.items() if k not in record.params})
    others = [entry for entry in kept.inputs if entry.dataset.digest not in record.inputs]
    if others:
        study.client.log_inputs(run.run_id, datasets=others)
    if kept.files is not None and any(kept.files.iterdir()):
        study.client.log_artifacts(run.run_id, str(kept.files))
