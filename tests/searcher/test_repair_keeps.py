"""What `searcher repair` keeps when it makes a run anew, and the damage beside a run's own figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damaged_record import Damaged
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric

from searcher.colours import VERDICT_COLOUR
from searcher.errors import NotFound, TrackingError
from searcher.tracking.mlflow_store import translated
from searcher.verify import STUDY

Call = Callable[..., Any]
NOTE, COLOUR, COMMIT = "mlflow.note.content", "mlflow.runColor", "mlflow.source.git.commit"


def adds_its_own(of: Damaged, run_id: str, folder: Path) -> None:
    """What a person adds to a run, and a commit that is not this one's."""
    for name, text in (("mine", "yes"), (NOTE, "look here"), (COLOUR, "#123456"), (COMMIT, "0" * 40)):
        of.client.set_tag(run_id, name, text)
    of.client.update_run(run_id, name="my favourite")
    of.client.log_param(run_id, "my param", "7")
    for step in (1, 2):
        of.client.log_batch(run_id, [Metric("my metric", step / 2, 1000 + step, step)])
    data = Dataset("mine", "1234", "local", "{}")
    of.client.log_inputs(run_id, datasets=[DatasetInput(data, [])])
    file = folder / "mine.txt"
    file.write_text("what I found")
    of.client.log_artifact(run_id, str(file))
    of.client.log_artifact(run_id, str(file), "deeper/down")


@pytest.mark.parametrize("runs", ["searcher-runs", "nowhere"])
@pytest.mark.parametrize("number", [5, STUDY])
def test_a_run_made_anew_keeps_what_people_gave_it(
    number: int, runs: str, damaged: Damaged, searcher: Call, mixed: Path
) -> None:
    run_id = (damaged.parent() if number == STUDY else damaged.run(number)).info.run_id
    adds_its_own(damaged, run_id, mixed)
    before = damaged.content()
    name = "search.seed" if number == STUDY else "width"
    damaged.sql(f"UPDATE params SET value = '99' WHERE run_uuid = :run AND key = '{name}'", run=run_id)
    where = ("mixed", "--runs", runs, "--tracking-uri", damaged.uri)
    said = searcher("repair", *where)
    assert said.code == 0 and f"param {name}: expected" in said.out
    assert damaged.ids()[number] != run_id
    assert damaged.content() == before
    new = damaged.ids()[number]
    place = damaged.client.get_run(new).info.artifact_uri
    assert Path(place, "deeper", "down", "mine.txt").read_text() == "what I found"
    points = [(p.step, p.value, p.timestamp) for p in damaged.client.get_metric_history(new, "my metric")]
    assert sorted(points) == [(1, 0.5, 1001), (2, 1.0, 1002)]
    assert searcher("verify", *where).code == 0


def test_a_run_is_only_given_up_once_another_stands(
    damaged: Damaged, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repair that breaks off in the middle loses nothing: the next one finds the run as it was."""
    run_id = damaged.run(5).info.run_id
    before = damaged.content()
    damaged.sql("UPDATE params SET value = '99' WHERE run_uuid = :run AND key = 'width'", run=run_id)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", full)
        assert call("repair").code == 2
    assert damaged.ids()[5] == run_id
    assert call("repair").code == 0 and damaged.content() == before


def loses_its_data(of: Damaged) -> str:
    of.sql("DELETE FROM inputs WHERE destination_id = :run", run=of.run(5).info.run_id)
    return "trial 5: data 0123456789abcdef: expected there, found nothing"


def the_study_loses_its_data(of: Damaged) -> str:
    of.sql("DELETE FROM inputs WHERE destination_id = :run", run=of.parent().info.run_id)
    return "study: data 0123456789abcdef: expected there, found nothing"


def loses_its_note(of: Damaged) -> str:
    of.client.delete_tag(of.run(0).info.run_id, NOTE)
    return f"trial 0: tag {NOTE}: expected **completed** after"


def loses_its_colour(of: Damaged) -> str:
    of.client.delete_tag(of.run(0).info.run_id, COLOUR)
    return f"trial 0: tag {COLOUR}: expected #"


def has_the_colour_of_another_verdict(of: Damaged) -> str:
    run = of.run(0)
    others = [colour for colour in VERDICT_COLOUR.values() if colour != run.data.tags[COLOUR]]
    of.client.set_tag(run.info.run_id, COLOUR, others[0])
    return f"found {others[0]}"


def the_study_loses_its_sampler(of: Damaged) -> str:
    of.client.delete_tag(of.parent().info.run_id, "search.sampler")
    return "study: tag search.sampler: expected"


def the_study_loses_its_report(of: Damaged) -> str:
    Path(of.parent().info.artifact_uri, "report", "report.md").unlink()
    return "study: file report/report.md: expected there, found nothing"


def a_view_is_lost(of: Damaged) -> str:
    of.client.delete_experiment_tag(of.experiment, "mlflow.sharedViewState.searcher-cost")
    return "study: saved view Cost: expected as this study has it, found nothing"


def a_view_is_spoiled(of: Damaged) -> str:
    of.client.set_experiment_tag(of.experiment, "mlflow.sharedViewState.searcher-cost", "{")
    return "study: saved view Cost: expected as this study has it, found another"


def there_is_another_study_run(of: Damaged) -> str:
    """One that is older than the right one, and could pass for it."""
    tags = {"searcher.kind": "study"}
    extra = of.client.create_run(of.experiment, start_time=1, tags=tags)
    return f"study: run: expected one, found run {extra.info.run_id} too many"


def the_experiment_is_deleted(of: Damaged) -> str:
    of.client.delete_experiment(of.experiment)
    return "study: run: expected one, found none"


@pytest.mark.parametrize(
    "damage",
    [
        loses_its_data,
        the_study_loses_its_data,
        loses_its_note,
        loses_its_colour,
        has_the_colour_of_another_verdict,
        the_study_loses_its_sampler,
        the_study_loses_its_report,
        a_view_is_lost,
        a_view_is_spoiled,
        there_is_another_study_run,
        the_experiment_is_deleted,
    ],
    ids=lambda damage: damage.__name__,
)
def test_what_stands_beside_the_figures_is_mended(
    damage: Callable[[Damaged], str], damaged: Damaged, call: Call
) -> None:
    before, views, ids = damaged.content(), damaged.views(), damaged.ids()
    line = damage(damaged)
    said = call("verify")
    assert said.code == 1 and line in said.out
    repaired = call("repair")
    assert repaired.code == 0, repaired
    assert call("verify").code == 0
    assert (damaged.content(), damaged.views(), damaged.ids()) == (before, views, ids)


def test_two_runs_of_the_study_are_settled_at_once(damaged: Damaged, call: Call) -> None:
    """Some of the trials belong to the wrong one, and the right one has to be made anew."""
    before = damaged.content()
    right = damaged.parent().info.run_id
    there_is_another_study_run(damaged)
    (extra,) = (
        run.info.run_id for run in damaged.runs("tags.`searcher.kind` = 'study'") if run.info.run_id != right
    )
    for number in (2, 3):
        damaged.client.set_tag(damaged.run(number).info.run_id, "mlflow.parentRunId", extra)
    damaged.sql("UPDATE params SET value = '-3' WHERE run_uuid = :run AND key = 'search.seed'", run=right)
    assert call("repair").code == 0
    assert call("verify").code == 0 and damaged.content() == before
    parent = damaged.parent().info.run_id
    assert {damaged.run(n).data.tags["mlflow.parentRunId"] for n in range(7)} == {parent}


def test_a_run_without_a_number_stops_nobody(damaged: Damaged, call: Call, searcher: Call) -> None:
    before = damaged.content()
    damaged.client.set_tag(damaged.run(5).info.run_id, "optuna.trial_number", "five")
    said = call("verify")
    assert said.code == 1 and "a trial without a number: run: expected none" in said.out
    assert searcher("run", "study.toml", "--tracking-uri", damaged.uri).code == 0
    assert call("verify").code == 0
    assert damaged.content().keys() == before.keys()


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_signals_that_cannot_be_read_are_missing(
    content: bytes | None, damaged: Damaged, call: Call, mixed: Path
) -> None:
    before = damaged.content()
    file = mixed / "searcher-runs" / "mixed" / "00005" / "signals.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:200] + bytes(100) + whole[300:] if content is None else content)
    said = call("verify")
    assert said.code == 0, said
    assert "00005/signals.npz cannot be read: it counts as missing" in said.err
    assert "the curves of 1 trials (5) were not compared" in said.err
    damaged.sql(
        "UPDATE params SET value = '99' WHERE run_uuid = :run AND key = 'width'",
        run=damaged.run(5).info.run_id,
    )
    assert call("repair").code == 0
    assert damaged.content() == before, "the record's own copy is kept"
    kept = damaged.client.download_artifacts(damaged.run(5).info.run_id, "signals.npz", str(mixed))
    assert Path(kept).read_bytes() == whole


def test_what_was_read_is_not_read_again(
    damaged: Damaged, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged.client.set_tag(damaged.run(5).info.run_id, "verdict", "failed")
    there = {(run.info.run_id, name) for run in damaged.runs() for name in run.data.metrics}
    asked: list[tuple[str, str]] = []
    original = MlflowClient.get_metric_history

    def counted(self: MlflowClient, run_id: str, key: str) -> Any:
        asked.append((run_id, key))
        return original(self, run_id, key)

    monkeypatch.setattr(MlflowClient, "get_metric_history", counted)
    assert call("repair").code == 0
    assert set(asked) <= there, "a metric that a run lacks is not asked for"
    again = {place for place in asked if asked.count(place) > 1}
    assert {run_id for run_id, _ in again} == {damaged.run(5).info.run_id}


def test_only_mlflows_errors_are_told_as_its() -> None:
    with pytest.raises(NotFound, match="no such file"), translated("sqlite:///x.db"):
        raise NotFound("no such file")
    with (
        pytest.raises(TrackingError, match="the MLflow record at sqlite"),
        translated("sqlite:///x.db"),
    ):
        raise OSError("no route")
