"""Files of curves as people have them, and the options of `python -m diagnostics`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from diagnostics.__main__ import main
from diagnostics.curves import COUNTED, read_csv

E = np.arange(30)


@pytest.fixture
def falling(tmp_path: Path) -> Path:
    """Thirty epochs, counted from 1, of a training that goes well."""
    path = tmp_path / "falling.csv"
    lines = [f"{e + 1},{2 * np.exp(-e / 5) + 0.3:.4f},{2 * np.exp(-e / 5) + 0.4:.4f}" for e in E]
    path.write_text("\n".join(["epoch,train_loss,val_loss", *lines]), encoding="utf-8")
    return path


@pytest.mark.parametrize("column", ["loss", "train_loss"])
@pytest.mark.parametrize("per_epoch", [12, 100])
def test_an_epoch_that_repeats_makes_the_rows_steps(
    column: str, per_epoch: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loss = 2 * np.exp(-np.arange(5 * per_epoch) / per_epoch)
    rows = [f"{i // per_epoch},{x}" for i, x in enumerate(loss)]
    for name, lines in (("run.csv", rows), ("one.csv", rows[:per_epoch])):
        path = tmp_path / name
        path.write_text("\n".join([f"epoch,{column}", *lines]), encoding="utf-8")
        signals = read_csv(path)
        assert signals["loss"].steps.tolist() == list(range(len(lines)))
        assert COUNTED not in signals.facts
        assert main([str(path)]) == 0
        text = capsys.readouterr().out
        assert f"after {len(lines)} steps" in " ".join(text.split()) and "broken" not in text


def test_steps_that_begin_anew_with_each_epoch_are_counted_on(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    rows = [f"{i // 10},{i % 10},{1 / (i + 1)}" for i in range(40)]
    path.write_text("\n".join(["epoch,batch,loss", *rows]), encoding="utf-8")
    assert read_csv(path)["loss"].steps.tolist() == list(range(40))


def test_epochs_are_called_so_and_counted_as_in_the_file(
    falling: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(falling)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "after 30 epochs" in text and "step" not in text
    assert main([str(falling), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["counted"] == "epoch" and data["statistics"]["steps"] == 30


def test_percent_and_decimal_commas_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("epoch;loss;val_acc\n0;2,5;60%\n1;1,25;61,5 %\n", encoding="utf-8")
    signals = read_csv(path)
    assert signals["loss"].values.tolist() == [2.5, 1.25]
    assert signals["val_accuracy"].values == pytest.approx([0.6, 0.615])


def test_accuracies_of_up_to_a_hundred_are_shares(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("epoch,loss,acc,val_acc\n0,2,0.9,0.5\n1,1,60,55\n", encoding="utf-16")
    signals = read_csv(path)
    assert signals["train_accuracy"].values == pytest.approx([0.009, 0.6])
    assert signals["val_accuracy"].values == pytest.approx([0.005, 0.55])


def test_a_dash_is_standard_input(
    falling: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(falling.read_bytes())))
    assert main(["-"]) == 0
    assert "after 30 epochs" in " ".join(capsys.readouterr().out.split())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert main(["-"]) == 2
    assert "standard input has 0 lines" in capsys.readouterr().err


def test_pipes_are_read_and_may_be_closed_early(falling: Path) -> None:
    command = f"cat {falling} | {sys.executable} -m diagnostics /dev/stdin"
    read = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert "after 30 epochs" in " ".join(read.stdout.split())
    command = f"(sleep 0.2; {sys.executable} -m diagnostics {falling} --json; echo code $? >&2) | true"
    cut = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert cut.stderr == "code 0\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--outputs", "0"], "'0' is no whole number from 1"),
        (["--outputs", "2.5"], "'2.5' is no whole number from 1"),
        (["--trivial-loss", "nan"], "'nan' is no number from 0"),
        (["--trivial-loss", "inf"], "'inf' is no number from 0"),
        (["--trivial-loss=-1"], "'-1' is no number from 0"),
        (["--trivial-loss", "much"], "'much' is no number from 0"),
        (["--trivial-loss", "0", "--outputs", "10"], "--trivial-loss is 0"),
    ],
)
def test_bad_options_are_refused(
    options: list[str], says: str, falling: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([str(falling), *options])
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2 and says in capsys.readouterr().err


@pytest.mark.parametrize("task", ["regression", "other"])
def test_a_constant_answer_to_other_tasks_may_cost_nothing(
    task: str, falling: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(falling), "--task", task, "--trivial-loss", "0"]) == 0
    assert "broken" not in capsys.readouterr().out


def test_an_archive_of_something_else_holds_no_signals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    assert main([str(tmp_path / "other.npz")]) == 2
    assert "holds no signals" in capsys.readouterr().err
