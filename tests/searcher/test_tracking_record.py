"""What stands in MLflow's record of a study, and that going on with a study writes nothing twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from made_up_study import made_up_study
from mixed_study import fate_of, study_file
from mlflow import MlflowClient
from mlflow.entities import Run

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR
from searcher.errors import TrackingError
from searcher.spec import StudySpec
from searcher.tracking import BackgroundTracker, MlflowTracker, NullTracker, Tracker, view_links
from searcher.tracking.axes import MOST_KEYS, ONCE
from searcher.tracking.entries import study_params
from searcher.tracking.mlflow_study import MlflowStudy
from searcher.tracking.usage_curves import SYSTEM
from trainers.progress import Progress

Call = Callable[..., Any]
NUMBER = "optuna.trial_number"


class Record:
    """The record of a study in the working folder."""

    def __init__(self, name: str) -> None:
        self.uri = (
            f"sqlite:///{Path.cwd() / 'mlflow.db'}"  # in full: MLflow remembers stores by their address
        )
        self.client = MlflowClient(tracking_uri=self.uri)
        self.experiment = self.client.get_experiment_by_name(name)
        self.runs = list(self.client.search_runs([self.experiment.experiment_id]))
        (self.parent,) = (run for run in self.runs if run.data.tags["searcher.kind"] == "study")

    def trials(self) -> dict[int, Run]:
        return {int(run.data.tags[NUMBER]): run for run in self.runs if NUMBER in run.data.tags}


@pytest.fixture
def record(mixed: Path) -> Record:
    assert mixed == Path.cwd()
    return Record("mixed")


def test_runs_sort_by_trial_and_say_their_settings(record: Record) -> None:
    names = {run.info.run_name: number for number, run in record.trials().items()}
    assert [names[name] for name in sorted(names)] == list(range(7))
    for name, number in names.items():
        assert name.startswith(f"t{number:04d} lr=")
        assert f"width={record.trials()[number].data.params['width']}" in name


def test_runs_have_the_colour_of_their_verdict(record: Record) -> None:
    verdicts = set()
    for run in record.trials().values():
        verdicts.add(verdict := Verdict(run.data.tags["verdict"]))
        assert run.data.tags["mlflow.runColor"] == VERDICT_COLOUR[verdict]
    assert len(verdicts) >= 3


def test_every_trial_has_every_figure_and_few_names_there_are(record: Record) -> None:
    keys = {key for run in record.runs for key in run.data.metrics}
    assert len(keys) <= MOST_KEYS
    for number, run in record.trials().items():
        figures = {name: run.data.metrics[name] for name in ONCE}
        assert np.isfinite(list(figures.values())).all()
        assert figures["verdict_code"] == Verdict(run.data.tags["verdict"]).code
        assert figures["trial"] == number
        onset = {"explodes": 24, "breaks": 20}.get(fate_of(number), -1)
        assert figures["onset_step"] == onset
        assert {"learning_rate", "power", "decay", "colour"} <= run.data.params.keys()


def test_the_study_tells_what_it_ran_on(record: Record) -> None:
    tags, params = record.parent.data.tags, record.parent.data.params
    assert {f"version.{name}" for name in ("python", "torch", "optuna", "mlflow", "searcher")} <= tags.keys()
    assert tags["machine"] and tags["command"] and tags["search.sampler"] and tags["device"] == "cpu"
    assert params["search.seed"].isdecimal() and "low" in params["space.learning_rate"]
    assert "**Best:**" in tags["mlflow.note.content"]
    for run in record.trials().values():
        assert run.data.tags["device"] == "cpu"
    failures = record.client.get_metric_history(record.parent.info.run_id, "failures_so_far")
    assert [(point.step, point.value) for point in failures] == [
        (n + 1, sum(fate_of(m) in ("explodes", "breaks") for m in range(n + 1))) for n in range(7)
    ]


def test_runs_name_their_data(record: Record) -> None:
    for run in record.runs:
        (entry,) = run.inputs.dataset_inputs
        assert (entry.dataset.name, entry.dataset.digest) == ("mixed_study:mixed", "0123456789abcdef")
        assert [(tag.key, tag.value) for tag in entry.tags] == [("mlflow.data.context", "training")]


def test_views_are_linked(record: Record) -> None:
    links = view_links(record.uri, "http://here:5000")["mixed"]
    assert list(links) == ["All trials by objective", "Why trials failed", "Curves of the best ten", "Cost"]
    for link in links.values():
        assert link.startswith(f"http://here:5000/#/experiments/{record.experiment.experiment_id}/runs?")
    assert view_links(record.uri, "http://here", "mixed") == view_links(record.uri, "http://here")
    assert view_links(record.uri, "http://here", "another") == {}
    assert view_links("sqlite:////not/there.db", "http://here") == {}


def points(record: Record) -> list[tuple[Any, ...]]:
    """Every point of every run, also of deleted ones, straight from the tables."""
    with sqlite3.connect(record.uri.removeprefix("sqlite:///")) as tables:
        return sorted(tables.execute("SELECT run_uuid, key, step, value FROM metrics").fetchall())


@pytest.mark.parametrize("trials", [7, 10])
def test_going_on_writes_nothing_twice(record: Record, searcher: Call, trials: int) -> None:
    before, tags = points(record), record.experiment.tags
    done = searcher("run", "study.toml", "--trials", str(trials), "--tracking-uri", record.uri)
    assert done.code == 0
    after = Record("mixed")
    assert len(after.runs) == trials + 1 and set(after.trials()) == set(range(trials))
    assert {n: after.trials()[n].info.run_id for n in range(7)} == {
        n: run.info.run_id for n, run in record.trials().items()
    }
    now = points(after)
    assert set(before) <= set(now)
    assert len({(run, key, step) for run, key, step, _ in now}) == len(now), "no point twice"
    assert after.experiment.tags.keys() == tags.keys(), "no view twice"
    if trials == 7:
        assert now == before


def test_a_run_that_was_cut_off_is_written_once(record: Record, searcher: Call) -> None:
    cut = record.trials()[5].info.run_id
    record.client.update_run(cut, status="RUNNING")  # as a kill before its end leaves it
    left = record.client.create_run(record.experiment.experiment_id, tags={"searcher.kind": "trial"})
    assert searcher("run", "study.toml", "--tracking-uri", record.uri).code == 0
    after = Record("mixed")
    assert set(after.trials()) == set(range(7)) and len(after.runs) == 8
    assert left.info.run_id not in {run.info.run_id for run in after.runs}
    history = after.client.get_metric_history(after.trials()[5].info.run_id, "val_loss")
    assert [point.step for point in history] == [10, 20, 30, 40, 50, 60]
    assert searcher("verify", "mixed", "--tracking-uri", record.uri).code == 0


def many(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """A training with more metrics than MLflow's pages can take, some under names of ours or odd ones."""
    for step in (1, 2):
        named = {f"metric {n}": float(n) for n in range(60)}
        yield Progress(step, step, 2, {**named, "score:5": settings["x"], "seconds": 4.0, "trial": -3.0})


def test_of_many_metrics_some_are_dropped_and_named(workplace: Path, searcher: Call) -> None:
    text = study_file(0, 3).replace("mixed_study:mixed", "test_tracking_record:many")
    text = text.replace('name = "val_loss"', 'name = "score:5"').replace("upper = 5.0", "upper = 1e9")
    space = text[text.index("[space]") : text.index("[search]")]
    Path("study.toml").write_text(text.replace(space, "[space]\nx = { low = 0.0, high = 1.0 }\n"))
    uri = f"sqlite:///{workplace / 'mlflow.db'}"
    assert searcher("run", "study.toml", "--tracking-uri", uri).code == 0
    record = Record("mixed")
    keys = {key for run in record.runs for key in run.data.metrics}
    assert len(keys) == MOST_KEYS - len(SYSTEM) and "score_5" in keys
    for number, run in record.trials().items():
        assert run.data.metrics["trial"] == number, "a metric does not hide a figure"
        dropped = run.data.tags["metrics_dropped"].split(", ")
        curves = run.data.metrics.keys() - set(ONCE)
        assert len(curves) + len(dropped) == 63 and "score:5" not in dropped
    assert searcher("verify", "mixed", "--tracking-uri", uri).code == 0
    assert searcher("run", "study.toml", "--tracking-uri", uri, "--trials", "4").code == 0
    again = Record("mixed")
    assert {key for run in again.runs for key in run.data.metrics} == keys


DIGITS = """
name = "digits"
[train]
data = "digits"
max_samples = 200
width = 8
depth = 1
epochs = 1
[metric]
name = "val_accuracy"
goal = "maximize"
[space]
learning_rate = { low = 1e-3, high = 0.1, log = true }
[search]
sampler = "random"
pruner = "none"
trials = 4
[dispatch]
launcher = "inprocess"
"""


def test_the_best_models_load_and_say_what_they_take(workplace: Path, searcher: Call) -> None:
    Path("study.toml").write_text(DIGITS)
    uri = f"sqlite:///{workplace / 'mlflow.db'}"
    assert searcher("run", "study.toml", "--tracking-uri", uri).code == 0
    assert searcher("run", "study.toml", "--tracking-uri", uri).code == 0, "and logs none twice"
    record = Record("digits")
    with_model = {n: run for n, run in record.trials().items() if run.outputs.model_outputs}
    ordered = sorted(record.trials(), key=lambda n: (-record.trials()[n].data.metrics["objective"], n))
    assert sorted(with_model) == sorted(ordered[:3])
    mlflow.set_tracking_uri(uri)
    for run in with_model.values():
        assert len(run.outputs.model_outputs) == 1
        model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
        assert model.metadata.signature.inputs.inputs[0].shape == (-1, 1, 8, 8)
        answer = model.predict(np.zeros((5, 1, 8, 8), dtype=np.float32))
        assert np.asarray(answer).shape == (5, 10)
    assert record.parent.data.tags["seed"] == record.parent.data.tags["data_seed"] == "0"
    digests = {entry.dataset.digest for run in record.runs for entry in run.inputs.dataset_inputs}
    assert len(digests) == 1
    assert {entry.dataset.name for entry in record.parent.inputs.dataset_inputs} == {"digits"}


def test_the_report_is_kept_with_the_study(mixed: Path, record: Record, make_spec: Call) -> None:
    files = [mixed / name for name in ("report.html", "report.md")]
    for text in ("first", "second"):
        for file in files:
            file.write_text(text)
        tracker = BackgroundTracker(MlflowTracker(spec_of(record), record.uri, mixed / "searcher-runs/mixed"))
        tracker.open([])
        tracker.report(files)
        tracker.close("what there is", [])
        tracker.check()
    run_id = record.parent.info.run_id
    kept = {file.path for file in record.client.list_artifacts(run_id, "report")}
    assert kept == {"report/report.html", "report/report.json", "report/report.md"}  # the last by the study
    place = record.client.download_artifacts(run_id, "report/report.md", str(mixed))
    assert Path(place).read_text() == "second"


def spec_of(record: Record) -> StudySpec:
    from searcher.opening import load_study

    return load_study(record.experiment.name, "sqlite:///studies.db").spec


@pytest.mark.parametrize("make", [NullTracker, lambda: BackgroundTracker(NullTracker())])
def test_a_keeper_of_nothing_takes_a_report(make: Callable[[], Tracker], tmp_path: Path) -> None:
    tracker = make()
    tracker.open([])
    tracker.report([tmp_path / "report.html"])
    tracker.close("", [])


def test_a_report_that_cannot_be_kept_is_a_failure_of_the_record(tmp_path: Path) -> None:
    class Full(NullTracker):
        def report(self, files: Any) -> None:
            raise TrackingError("no room")

    tracker = BackgroundTracker(Full())
    tracker.open([])
    tracker.report([tmp_path / "report.html"])
    tracker.close("", [])
    assert str(tracker.failure) == "no room"


def test_what_the_run_of_a_study_lacks_is_written_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    spec, _ = made_up_study(1)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with monkeypatch.context() as patch:
        patch.setattr(MlflowStudy, "write_params", killed)
        with pytest.raises(KeyboardInterrupt):
            MlflowStudy(spec, uri).open()
    for _ in range(2):
        study = MlflowStudy(spec, uri)
        study.open()
        assert study.client.get_run(study.parent).data.params == study_params(spec)
    (only,) = study.client.search_runs([study.experiment])
    assert only.info.run_id == study.parent
