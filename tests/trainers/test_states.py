"""A training that is continued from its state is the one that never stopped, bit by bit."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from said import essence

from trainers.config import config_from
from trainers.facts import PLANNED
from trainers.loop import train
from trainers.parts.schedules import LASTING, SCHEDULES
from trainers.progress import Progress
from trainers.states import ASIDE, SAID, STATE

QUICK: dict[str, Any] = {"data": "digits", "max_samples": 200, "epochs": 3, "width": 8, "batch_size": 12}

PIXELS = {"channels": 2, "depth": 1, "max_samples": 120}
MIX: list[dict[str, Any]] = [
    {"model": "mlp", "optimizer": "nadam", "dropout": 0.3, "ema_decay": 0.9, "norm": "batch"},
    {"model": "mlp", "optimizer": "sgd", "schedule": "one_cycle", "warmup_epochs": 0.5, "clip_norm": 0.5},
    {"model": "mlp", "data": "diabetes", "optimizer": "rmsprop", "best_by": "val_rmse", "keep": "last"},
    {"model": "mlp", "optimizer": "momentum", "patience": 1, "learning_rate": 0.5, "epochs": 9},
    {"model": "mlp", "micro_batch": 5, "dropout": 0.2, "dropout_kind": "dropconnect", "l1": 1e-4},
    {"model": "cnn", **PIXELS, "augmentation": "flip+crop", "dropout": 0.2, "dropout_kind": "dropblock"},
    {"model": "resnet", **PIXELS, "norm": "group", "optimizer": "adamw", "ema_decay": 0.5},
    {"model": "rnn", "norm": "layer", "optimizer": "adagrad", "activation": "tanh"},
    {"model": "lstm", "dropout": 0.2, "dropout_kind": "alpha_dropout", "schedule": "cosine"},
    {"model": "gru", "norm": "batch", "optimizer": "nesterov", "evaluations_per_epoch": 2},
]


def settings_in(folder: Path, **options: Any) -> dict[str, Any]:
    return {**QUICK, "save_every": 0.0, "folder": str(folder), **options}


def run(settings: Mapping[str, Any], messages: int | None = None) -> list[Progress]:
    """So many messages of a training, or all of them; whoever asked for one has taken it."""
    stream, heard = train(config_from(settings)), []
    for progress in stream:
        if len(heard) == messages:
            break
        heard.append(progress)
    return heard


def stir() -> None:
    """Leave the random streams of this process anywhere."""
    torch.manual_seed(random.randrange(10**6))
    np.random.seed(random.randrange(10**6))


def weights_of(folder: Path) -> dict[str, Any]:
    return dict(torch.load(folder / "weights.pt", weights_only=True)["weights"])


def assert_same_weights(one: Path, other: Path) -> None:
    a, b = weights_of(one), weights_of(other)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("options", MIX, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_a_continued_training_is_the_one_that_never_stopped(options: dict[str, Any], tmp_path: Path) -> None:
    """Stopped anywhere, twice, mostly in the middle of an epoch."""
    options |= {"seed": random.randrange(10_000)}
    whole = run({**QUICK, **options, "folder": str(tmp_path / "whole")})
    settings = settings_in(tmp_path / "part", **options)
    stops = sorted(random.randrange(len(whole)) for _ in range(2))
    print(f"stopped after {stops} of {len(whole)} messages")
    for stop in stops:
        stir()
        assert essence(run(settings, stop)) == essence(whole[:stop])
    stir()
    assert essence(run(settings)) == essence(whole)
    assert_same_weights(tmp_path / "whole", tmp_path / "part")
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["weights.pt"]


def test_a_training_that_had_only_said_its_facts_does_not_say_them_twice(tmp_path: Path) -> None:
    run(settings_in(tmp_path), 1)
    assert (tmp_path / STATE).exists()
    assert essence(run(settings_in(tmp_path))) == essence(run(QUICK))


def test_states_change_nothing_and_are_not_made_unasked(tmp_path: Path) -> None:
    plain = run({**QUICK, "folder": str(tmp_path / "plain")}, 4)
    kept = run(settings_in(tmp_path / "kept"), 4)
    assert essence(plain) == essence(kept)
    assert not (tmp_path / "plain").exists()
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {STATE, SAID}


def test_a_state_is_not_written_before_its_time(tmp_path: Path) -> None:
    run(settings_in(tmp_path, save_every=1e6), 5)
    assert not (tmp_path / STATE).exists()


def test_a_message_that_nobody_took_is_said_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    stream = train(config_from(settings))
    heard = [next(stream) for _ in range(4)]
    stream.close()  # the fourth was given, but nobody asked for a fifth
    assert torch.load(tmp_path / STATE, weights_only=True)["state"]["steps"] == heard[2].step
    again = run(settings)
    assert essence(again[:4]) == essence(heard)


CHILD = """
import os, sys
from trainers import states
from trainers.config import config_from
from trainers.loop import train
settings, kill_in_save = eval(sys.argv[1]), int(sys.argv[2])
saves, replace = 0, states.Path.replace
def die_in(path, target):
    global saves
    saves += 1
    if saves == kill_in_save:
        path.write_bytes(path.read_bytes()[:999])
        os.kill(os.getpid(), 9)
    return replace(path, target)
states.Path.replace = die_in
for progress in train(config_from(settings)):
    print(progress.step, flush=True)
"""


@pytest.mark.parametrize("moment", ["training", "writing"])
def test_a_training_that_was_killed_goes_on(moment: str, tmp_path: Path) -> None:
    options = {"seed": random.randrange(1000), "dropout": 0.2, "epochs": 6, "optimizer": "adamw"}
    whole = run({**QUICK, **options, "folder": str(tmp_path / "whole")})
    settings = settings_in(tmp_path / "part", **options)
    kill_in_save = random.randrange(2, 12) if moment == "writing" else 0
    command = [sys.executable, "-c", CHILD, repr(settings), str(kill_in_save)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if moment == "training" and int(line) > 20:
            time.sleep(random.random() / 20)
            child.kill()
            break
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert (tmp_path / "part" / STATE).exists()
    assert (tmp_path / "part" / (STATE + ".part")).exists() or moment == "training"
    assert essence(run(settings)) == essence(whole)
    assert_same_weights(tmp_path / "whole", tmp_path / "part")


def _cut(folder: Path) -> None:
    os.truncate(folder / STATE, random.randrange((folder / STATE).stat().st_size))


def _turn_a_byte(folder: Path) -> None:
    """In the middle of the numbers of a tensor, where nothing but a checksum sees it."""
    content = bytearray((folder / STATE).read_bytes())
    weights = torch.load(folder / STATE, weights_only=True)["state"]["model"]["known"]["head.weight"]
    content[content.index(weights.numpy().tobytes()) + 5] ^= 1
    (folder / STATE).write_bytes(content)


def _lose_words(folder: Path) -> None:
    os.truncate(folder / SAID, 10)


def _other_torch(folder: Path) -> None:
    content = torch.load(folder / STATE, weights_only=True)
    torch.save({**content, "torch": "1.0.0"}, folder / STATE)


def _other_model(folder: Path) -> None:
    content = torch.load(folder / STATE, weights_only=True)
    content["state"]["model"]["known"].popitem()
    torch.save(content, folder / STATE)


def _nonsense(folder: Path) -> None:
    (folder / STATE).write_bytes(pickle.dumps({"what": 1}))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_cut, "cannot be read"),
        (_turn_a_byte, ""),
        (_lose_words, "bytes"),
        (_other_torch, "torch 1.0.0 wrote it"),
        (_other_model, "Missing key|Error"),
        (_nonsense, "cannot be read"),
    ],
)
def test_a_state_that_cannot_be_used_is_set_aside(
    spoil: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    whole = run(QUICK)
    settings = settings_in(tmp_path)
    run(settings, 6)
    spoil(tmp_path)
    stir()
    again = run(settings, 4)
    reason = str(again[0].facts["state_unusable"])
    assert reason and any(part in reason for part in why.split("|"))
    plain = [{n: v for n, v in p.facts.items() if n != "state_unusable"} for p in again]
    assert [(p.step, dict(p.metrics)) for p in again] == [(p.step, dict(p.metrics)) for p in whole[:4]]
    assert plain[0] == whole[0].facts
    assert (tmp_path / ASIDE).exists()
    assert [p.metrics for p in run(settings)] == [p.metrics for p in whole], "the new state is a good one"


def test_a_state_of_other_settings_or_data_is_foreign(tmp_path: Path) -> None:
    run(settings_in(tmp_path), 5)
    facts = run(settings_in(tmp_path, learning_rate=0.5), 3)[0].facts
    assert "learning_rate was 0.001, now 0.5" in str(facts["state_unusable"])
    facts = run(settings_in(tmp_path, learning_rate=0.5, data_seed=4, max_samples=150), 3)[0].facts
    assert "max_samples" in str(facts["state_unusable"]) and "train_samples" in str(facts["state_unusable"])


def test_settings_that_say_where_may_change(tmp_path: Path) -> None:
    whole = run(QUICK)
    run(settings_in(tmp_path / "a"), 5)
    (tmp_path / "a").rename(tmp_path / "b")
    again = run(settings_in(tmp_path / "b", save_every=0.01, state_mb=50.0, device="cpu"))
    assert essence(again) == essence(whole)


def test_how_long_a_training_waits_may_change(tmp_path: Path) -> None:
    whole = run(QUICK)
    run(settings_in(tmp_path), 5)
    again = run(settings_in(tmp_path, patience=50))
    assert essence(again) == essence(whole), "what it has learnt does not hang on that"


def test_a_state_that_is_too_large_is_not_kept_and_said_once(tmp_path: Path) -> None:
    stream = run(settings_in(tmp_path, state_mb=0.001), 8)
    told = [p.facts["state_too_large_mb"] for p in stream if "state_too_large_mb" in p.facts]
    assert len(told) == 1 and float(told[0]) > 0.001
    assert not (tmp_path / STATE).exists() and not (tmp_path / (STATE + ".part")).exists()


def test_a_disk_that_takes_nothing_ends_the_states_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainers.states.torch.save", full)
    stream = run({**settings_in(tmp_path), "epochs": 2}, 8)
    told = [p.facts["state_unwritten"] for p in stream if "state_unwritten" in p.facts]
    assert len(told) == 1 and "No space left" in str(told[0])
    assert len(stream) == 8


@pytest.mark.parametrize("schedule", LASTING)
def test_a_training_that_goes_on_beyond_its_end_is_the_one_with_more_epochs(
    schedule: str, tmp_path: Path
) -> None:
    options = {"schedule": schedule, "dropout": 0.2, "norm": "batch", "warmup_epochs": 0.5, "batch_size": 16}
    whole = run({**QUICK, **options, "epochs": 5, "folder": str(tmp_path / "whole")})
    settings = settings_in(tmp_path / "part", **options)
    first = run({**settings, "keep_last_state": True, "save_every": 1e6})
    assert (tmp_path / "part" / STATE).exists() and (tmp_path / "part" / "weights.pt").exists()
    stir()
    more = run({**settings, "epochs": 5})
    assert len(more) == len(whole) > len(first)
    for one, other in zip(more, whole, strict=True):
        assert (one.step, one.epoch, one.of_epochs, one.metrics) == (
            other.step,
            other.epoch,
            other.of_epochs,
            other.metrics,
        )
        assert {n: one.facts.get(n) for n in PLANNED} == {n: other.facts.get(n) for n in PLANNED}
        assert one.signals.keys() == other.signals.keys()
        for name in one.signals:
            np.testing.assert_array_equal(one.signals[name].values, other.signals[name].values)
    assert_same_weights(tmp_path / "part", tmp_path / "whole")
    assert not (tmp_path / "part" / STATE).exists(), "a state outlives its training"


@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - set(LASTING)))
def test_a_schedule_that_knows_its_end_begins_anew_with_more_epochs(schedule: str, tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "part", schedule=schedule)
    run({**settings, "keep_last_state": True})
    more = run({**settings, "epochs": 4})
    assert "epochs was 3, now 4" in str([progress.facts.get("state_unusable") for progress in more])
    assert more[-1].epoch == 4
