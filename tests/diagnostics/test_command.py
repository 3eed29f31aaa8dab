"""`python -m diagnostics` as a person uses it: recorded signals, anybody's CSV, and mistakes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diagnostics import Signals
from diagnostics.__main__ import main
from diagnostics.curves import CurveError, read_csv, signal_of

E = np.arange(30)


def write(path: Path, columns: dict[str, Any], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter=delimiter)
        out.writerow(columns)
        out.writerows(zip(*columns.values(), strict=True))
    return path


def keras(folder: Path) -> Path:
    """What Keras' CSVLogger writes of a training that overfits."""
    noise = 0.003 * np.random.default_rng().normal(size=(2, 30))
    columns = {
        "epoch": E,
        "accuracy": 1 - 0.9 * np.exp(-E / 5),
        "loss": 2 * np.exp(-E / 5) + 0.01 + noise[0],
        "val_accuracy": 0.8 - 0.01 * np.maximum(0, E - 8),
        "val_loss": 0.5 + 2 * np.exp(-E / 3) + 0.03 * np.maximum(0, E - 8) + noise[1],
    }
    return write(folder / "log.csv", columns)


@pytest.mark.parametrize(
    ("column", "signal"),
    [
        ("loss", "loss"),
        ("Training Loss", "train_loss"),
        ("train/loss", "train_loss"),
        ("train_loss_step", "loss"),
        ("train_loss_epoch", "train_loss"),
        ("valid_loss", "val_loss"),
        ("validation_loss", "val_loss"),
        ("eval_loss", "val_loss"),
        ("Test Loss", "val_loss"),
        ("val_acc", "val_accuracy"),
        ("accuracy", "train_accuracy"),
        ("train_accuracy", "train_accuracy"),
        ("lr", "learning_rate"),
        ("Value", "loss"),
        ("trainLoss", "train_loss"),
        ("validLoss", "val_loss"),
        ("valAcc", "val_accuracy"),
        ("Wall time", None),
        ("glossy", None),
    ],
)
def test_columns_are_known_by_the_names_others_give_them(column: str, signal: str | None) -> None:
    assert signal_of(column) == signal


def test_a_log_by_epochs_is_diagnosed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(keras(tmp_path)), "--outputs", "10"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("verdict: overfitting: ")
    assert "stop at epoch" in text and "step" not in text
    assert "rules need a Monitor in the loop (see docs/own-code.md)" in " ".join(text.split())


def test_a_loss_of_steps_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loss = 2.3 + 0.05 * np.random.default_rng().normal(size=600)
    path = write(tmp_path / "run.csv", {"Step": range(600), "Training loss": loss}, ";")
    assert main([str(path), "--task", "classification", "--outputs", "10", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "not-learning"
    assert report["statistics"]["trivial_loss"] == pytest.approx(np.log(10))


def test_how_it_ended_can_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "run.csv", {"train_loss": 0.3 + 2 * np.exp(-E / 2)})
    for ended, verdict in (("finished", "converged"), ("stopped", "incomplete"), ("failed", "failed")):
        assert main([str(path), "--ended", ended, "--trivial-loss", "2.3"]) == 0
        assert capsys.readouterr().out.startswith(f"verdict: {verdict}: ")


def test_saved_signals_and_their_facts_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loss = 2.3 * np.exp(-np.arange(400) / 50) + 0.2
    signals = Signals.of({"loss": (range(400), loss)}, {"trivial_loss": 2.3, "ended": "stopped"})
    signals.save(tmp_path / "signals.npz")
    assert main([str(tmp_path / "signals.npz")]) == 0
    assert capsys.readouterr().out.startswith("verdict: incomplete: ")
    assert main([str(tmp_path / "signals.npz"), "--ended", "running"]) == 0
    assert capsys.readouterr().out.startswith("verdict: converged: ")


def test_empty_cells_are_gaps_and_nan_is_a_value(tmp_path: Path) -> None:
    columns = {
        "step": range(6),
        "loss": ["1", "", "nan", "inf", "2", "1e-3"],
        "val_loss": ["", "3", "", "", "", ""],
    }
    signals = read_csv(write(tmp_path / "x.csv", columns))
    assert signals["loss"].steps.tolist() == [0, 2, 3, 4, 5]
    assert np.isnan(signals["loss"].values[1]) and np.isinf(signals["loss"].values[2])
    assert signals["val_loss"].steps.tolist() == [1]


def test_losses_of_steps_beside_rare_evaluations_are_losses_of_steps(tmp_path: Path) -> None:
    val = ["1.0" if step % 50 == 0 else "" for step in range(500)]
    path = write(tmp_path / "x.csv", {"step": range(500), "train_loss": np.ones(500), "val_loss": val})
    signals = read_csv(path)
    assert len(signals["loss"]) == 500
    assert "train_loss" not in signals


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a header and a line for each step"),
        ("step,loss\n", "has 1 line;"),
        ("a,trainGain\n1,2\n", "its columns are a, trainGain; name one of them loss"),
        ("step,loss\n1,2\n2,x\n", "line 3, column 2: 'x' is no number"),
        ("step,loss\n5,2\n4,1\n", "line 3: step falls from 5 to 4"),
        ("step,loss\n\n5,2\n4,1\n", "line 4: step falls from 5 to 4"),
        ("step,loss\n1,2,3\n", "line 2: 3 cells under 2 columns"),
        ("step,loss\n1,2\n2\n", "line 3: 1 cells under 2 columns"),
        ("step;loss\n1;2,5\n2;2,x\n", "line 3, column 2: '2,x' is no number"),
        ("epoch 1 loss 2.3\nepoch 2 loss 2.2\n", "is no CSV file, it begins with 'epoch 1 loss 2.3'"),
        ('{"loss": 1, "step": 2}\n', "is no CSV file"),
        ("loss\n1\0\n", "is no text"),
    ],
)
def test_a_wrong_file_is_explained(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CurveError):
        read_csv(path)
    assert main([str(path)]) == 2
    assert says in capsys.readouterr().err


def test_files_that_cannot_be_read_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.npz").write_bytes(b"no signals")
    for name, says in (("x.npz", "holds no signals"), ("none.csv", "No such file"), ("", "cannot be read")):
        assert main([str(tmp_path / name)]) == 2
        assert says in capsys.readouterr().err


def test_the_command_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom diagnostics.__main__ import main\n"
        f"code = main([{str(keras(tmp_path))!r}])\n"
        "sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_python_m_diagnostics_is_a_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "diagnostics", str(keras(tmp_path))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("verdict: ")
