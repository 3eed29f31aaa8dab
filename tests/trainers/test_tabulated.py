"""Tables of recorded trainings: read, replayed, and refused with the line of the mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diagnostics import diagnose
from searcher.launchers.messages import Hearing
from searcher.spec import Metric
from searcher.trial import TrialCourse
from trainers.errors import DataError
from trainers.tabulated import is_replay, read_table, replay, table_of

HEADER = "learning_rate,optimizer,epoch,train_loss,val_loss"


def write(folder: Path, *lines: str) -> Path:
    file = folder / "curves.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_rows_come_back_as_they_were_written(tmp_path: Path, rng: np.random.Generator) -> None:
    losses = rng.uniform(0.1, 3.0, (4, 6, 2)).tolist()
    rates = [f"{rate:.3g}" for rate in rng.uniform(1e-4, 0.1, 4)]
    rows = [(i, e) for e in range(6) for i in range(4)]  # configurations may lie among each other
    lines = [f"{rates[i]},sgd,{e + 1},{losses[i][e][0]},{losses[i][e][1]}" for i, e in rows]
    table = read_table(write(tmp_path, HEADER, *lines))
    assert table.settings == ("learning_rate", "optimizer") and table.metrics == ("train_loss", "val_loss")
    assert table.by_epoch
    assert [one.settings["learning_rate"] for one in table.configurations] == rates
    assert [one.line for one in table.configurations] == [2, 3, 4, 5]
    for one, curves in zip(table.configurations, losses, strict=True):
        said = list(replay(table, one.line))
        assert [progress.epoch for progress in said] == list(range(1, 7))
        assert [list(progress.metrics.values()) for progress in said] == curves
        assert (
            said[0].facts["replayed"]
            == f"learning_rate = {one.settings['learning_rate']}, optimizer = sgd (line {one.line})"
        )


def test_what_is_said_can_be_used_and_judged_by_epochs(tmp_path: Path) -> None:
    rows = [f"0.1,sgd,{epoch},{2 / epoch},{2 / epoch + 0.1 * epoch}" for epoch in range(1, 31)]
    table, hearing = read_table(write(tmp_path, HEADER, *rows)), Hearing()
    course = TrialCourse(Metric())
    for progress in replay(table, 2):
        course.add(hearing.take(progress))
    report = course.judged("finished")
    assert (
        course.signals["loss"].steps.tolist()
        == course.signals["val_loss"].steps.tolist()
        == list(range(1, 31))
    )
    assert course.facts["counted"] == "epoch" and course.facts["epochs"] == 30
    assert "overfitting" in {finding.kind for finding in report.findings}
    assert sorted(course.values) == list(range(1, 31)), "an evaluation was due with every epoch"


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_a_training_that_diverged_is_fatal_where_it_did(bad: str, tmp_path: Path) -> None:
    table = read_table(write(tmp_path, HEADER, "1,sgd,1,2.3,2.3", "1,sgd,2,3.1,2.9", f"1,sgd,3,{bad},{bad}"))
    course = TrialCourse(Metric())
    findings = [course.add(progress) for progress in replay(table, 2)][-1]
    assert findings[0].kind == "non-finite" and findings[0].step == 3
    assert course.best is not None and course.best.metrics["val_loss"] == 2.3
    assert diagnose(course.signals, course.facts).fatal is not None


def test_fractions_of_epochs_and_gaps(tmp_path: Path) -> None:
    rows = ["1,sgd,0.5,2.0,", "1,sgd,1.0,,1.5", "1,sgd,2.5,1.0,1.2"]
    table = read_table(write(tmp_path, HEADER, *rows))
    said = list(replay(table, 2))
    assert not table.by_epoch and [progress.step for progress in said] == [1, 2, 3]
    assert [dict(progress.metrics) for progress in said] == [
        {"train_loss": 2.0},
        {"val_loss": 1.5},
        {"train_loss": 1.0, "val_loss": 1.2},
    ]
    assert said[0].of_epochs == 2.5 and "counted" not in said[0].facts


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER], "has no rows; give a header"),
        (["a,b,val_loss", "1,2,3"], "line 1: there is no column 'epoch'"),
        (["epoch,val_loss", "1,2"], "line 1: 'epoch' has no columns before it for the settings"),
        (["x,epoch", "1,2"], "line 1: 'epoch' has no columns after it for what was measured"),
        (["x,x,epoch,val_loss", "1,1,1,2"], "line 1: the column 'x' stands there twice"),
        (["x,,epoch,val_loss", "1,1,1,2"], "line 1: a column has no name"),
        ([HEADER, "1,sgd,1,2,3", "1,sgd,2,3"], "line 3: 4 cells under 5 columns"),
        ([HEADER, "1,sgd,1,2,3", "", "1,sgd,2,3,high"], "line 4: val_loss is 'high', no number"),
        ([HEADER, "1,sgd,0,2,3"], "line 2: the epoch is '0'; give the epochs done"),
        ([HEADER, "1,sgd,inf,2,3"], "line 2: the epoch is 'inf'"),
        ([HEADER, "1,sgd,,2,3"], "line 2: epoch is '', no number"),
        (
            [HEADER, "1,sgd,2,2,3", "1,sgd,2,2,3"],
            "line 3: epoch 2 comes after epoch 2 of the same settings in line 2",
        ),
        ([HEADER, '1,"sgd,2,2,3'], "line 2: unexpected end of data"),
    ],
)
def test_mistakes_are_told_with_their_line(lines: list[str], message: str, tmp_path: Path) -> None:
    file = write(tmp_path, *lines)
    with pytest.raises(DataError) as caught:
        read_table(file)
    assert str(caught.value).startswith(f"{file}") and message in str(caught.value)


def test_a_table_is_looked_for_where_data_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHER_DATA", raising=False)
    with pytest.raises(DataError, match=r"there is no table .*; looked for"):
        table_of("replay:curves.csv")
    (tmp_path / "far").mkdir()
    file = write(tmp_path / "far", HEADER, "1,sgd,1,2,3")
    assert table_of("replay:curves.csv", "far").file == file
    assert table_of(f"replay:{file}").file == file
    write(tmp_path / "far", HEADER, "1,sgd,1,2,3", "1,sgd,2,2,3")
    assert len(table_of("replay:curves.csv", "far").configurations[0].rows) == 2, "a new file is read anew"


def test_a_line_that_begins_no_configuration_is_refused(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, HEADER, "1,sgd,1,2,3", "1,sgd,2,2,3"))
    with pytest.raises(DataError, match="no configuration begins at line 3"):
        next(replay(table, 3))


def test_trainers_that_replay_are_known_by_their_name() -> None:
    names: list[Any] = [None, "module:function", "replay:a.csv"]
    assert [is_replay(name) for name in names] == [False, False, True]
