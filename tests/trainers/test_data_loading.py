"""`load_data`: remembered exactly as long as it may be, own code, and the sets known by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers.config import TrialConfig
from trainers.data import Split, Splits, check_data, load_data, loading
from trainers.errors import DataError
from trainers.shapes import Shapes


def write_table(path: Path, rng: np.random.Generator, rows: int = 60) -> None:
    lines = [f"{a},{b},{i % 2}" for i, (a, b) in enumerate(rng.normal(size=(rows, 2)))]
    path.write_text("\n".join(["a,b,y", *lines]))


def test_the_next_trial_gets_the_same_object(workplace: Path, rng: np.random.Generator) -> None:
    write_table(workplace / "t.csv", rng)
    config = TrialConfig(data="t.csv", target="y")
    splits = load_data(config)
    for change in ({"learning_rate": 0.5}, {"seed": 7}, {"image_size": 9}, {"sequence_length": 3}):
        assert load_data(replace(config, **change)) is splits, change


@pytest.mark.parametrize(
    "change",
    [
        *({"target": "a"}, {"task": "regression"}, {"validation_fraction": 0.3}, {"test_fraction": 0.3}),
        *({"data_seed": 1}, {"max_samples": 30}, {"scaling": "minmax"}),
    ],
)
def test_a_setting_that_matters_gives_another_object(
    change: dict[str, Any], workplace: Path, rng: np.random.Generator
) -> None:
    write_table(workplace / "t.csv", rng)
    config = TrialConfig(data="t.csv", target="y")
    splits = load_data(config)
    other = load_data(replace(config, **change))
    assert other is not splits
    assert not torch.equal(other.train.x, splits.train.x) or not torch.equal(other.train.y, splits.train.y)
    assert load_data(config) is splits, "both are remembered"


def test_a_changed_file_is_read_again(workplace: Path, rng: np.random.Generator) -> None:
    write_table(workplace / "t.csv", rng)
    config = TrialConfig(data="t.csv", target="y")
    before = load_data(config)
    write_table(workplace / "t.csv", rng, rows=90)
    after = load_data(config)
    assert len(after.train) > len(before.train) and after.digest != before.digest


def test_the_digest_names_the_content(workplace: Path, rng: np.random.Generator) -> None:
    write_table(workplace / "t.csv", rng)
    (workplace / "copy.csv").write_bytes((workplace / "t.csv").read_bytes())
    config = TrialConfig(data="t.csv", target="y")
    digest = load_data(config).digest
    assert len(digest) == 16 and int(digest, 16) >= 0
    assert load_data(replace(config, data="copy.csv", data_seed=5, max_samples=20)).digest == digest
    assert load_data(TrialConfig(data="digits")).digest != digest


def test_old_sets_are_forgotten_when_they_are_too_large(
    workplace: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(workplace / "t.csv", rng)
    config = TrialConfig(data="t.csv", target="y")
    first = load_data(config)
    size = loading._memories[-1].size
    assert size == 60 * (2 * 4 + 8)
    monkeypatch.setattr(loading, "REMEMBERED", 2 * size)
    second = load_data(replace(config, data_seed=1))
    assert load_data(config) is first
    load_data(replace(config, data_seed=2))
    assert load_data(config) is first, "it was used last"
    assert load_data(replace(config, data_seed=1)) is not second


def test_a_wrong_target_is_told_before_anything_is_read(workplace: Path, rng: np.random.Generator) -> None:
    write_table(workplace / "t.csv", rng)
    with (workplace / "t.csv").open("a") as file:
        file.write("\n" * 50_000 + "1,2,3,4\n")
    with pytest.raises(DataError, match=r"no such column.*known: a, b, y"):
        check_data(TrialConfig(data="t.csv", target="z"))
    check_data(TrialConfig(data="t.csv", target="y"))
    with pytest.raises(DataError, match="line 50061: 4 cells"):
        load_data(TrialConfig(data="t.csv", target="y"))


def test_digits(workplace: Path) -> None:
    splits = load_data(TrialConfig(data="digits"))
    assert splits.shapes == Shapes("image", (1, 8, 8), 10, "classification")
    assert splits.class_names == tuple("0123456789")
    assert splits.test is not None
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 1797


def test_diabetes_keeps_its_own_units(workplace: Path) -> None:
    splits = load_data(TrialConfig(data="diabetes", scaling="none"))
    assert splits.shapes == Shapes("features", (10,), 1, "regression")
    assert splits.feature_names[:3] == ("age", "sex", "bmi")
    assert splits.train.x[:, 0].min() >= 19 and splits.train.x[:, 0].max() <= 79
    assert splits.train.y.dtype == torch.float32 and splits.train.y.max() > 300
    assert splits.class_counts == () and splits.class_names == ()


def test_adult(workplace: Path, shared_data: Path) -> None:
    config = TrialConfig(data="adult", data_dir=str(shared_data))
    check_data(config)
    splits = load_data(config)
    assert splits.class_names == ("<=50K", ">50K")
    assert splits.test is not None
    parts = (splits.train, splits.validation, splits.test)
    assert sum(map(len, parts)) == 32_561
    for part in parts:
        assert part.y.float().mean().item() == pytest.approx(7841 / 32_561, abs=1e-3)
        assert torch.isfinite(part.x).all()
    assert {"age", "workclass=missing", "education=Doctorate"} <= set(splits.feature_names)
    assert "age=missing" not in splits.feature_names
    age = splits.feature_names.index("age")
    assert splits.train.x[:, age].mean().item() == pytest.approx(0, abs=1e-5)
    ages = load_data(replace(config, target="age", max_samples=500))
    assert ages.shapes.task == "regression" and "income=>50K" in ages.feature_names


def test_tinyshakespeare(workplace: Path, shared_data: Path) -> None:
    config = TrialConfig(data="tinyshakespeare", data_dir=str(shared_data), sequence_length=50)
    splits = load_data(config)
    assert splits.shapes == Shapes("tokens", (50,), 65, "classification", 65)
    text = "".join(splits.class_names[i] for i in splits.train.x[0])
    assert text.startswith("First Citizen:\nBefore we proceed")
    assert load_data(replace(config, sequence_length=20)) is not splits


@pytest.mark.parametrize("inside", ["", "fashion-mnist"])
def test_fashion_mnist(inside: str, workplace: Path, shared_data: Path) -> None:
    config = TrialConfig(data="fashion-mnist", data_dir=str(shared_data / inside), max_samples=700)
    check_data(config)
    splits = load_data(config)
    assert splits.shapes == Shapes("image", (1, 28, 28), 10, "classification")
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (510, 90, 100)
    assert set(splits.class_counts) == {51}
    assert splits.class_names[9] == "Ankle boot"


def test_fashion_mnist_is_verified(workplace: Path, shared_data: Path) -> None:
    folder = workplace / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    for file in (shared_data / "fashion-mnist").glob("*.gz"):
        (folder / file.name).write_bytes(file.read_bytes())
    damaged = folder / "t10k-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz is not the published file"):
        check_data(TrialConfig(data="fashion-mnist"))


def test_splits_and_split_are_plain(rng: np.random.Generator) -> None:
    part = Split(torch.rand(5, 2), torch.rand(5, 1))
    splits = Splits(part, part, None, Shapes("features", (2,), 1, "regression"))
    assert len(part) == 5 and splits.class_counts == () and splits.digest == ""
