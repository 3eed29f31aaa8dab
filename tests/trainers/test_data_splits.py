"""Parts are disjoint, drawn by seed and by class, and nothing is learned outside the training part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.config import TrialConfig
from trainers.data import Column, Samples, Splits
from trainers.data.arrays import samples_of
from trainers.data.splitting import choose_rows, split_samples
from trainers.data.texts import read_text
from trainers.errors import DataError


def classes(rng: np.random.Generator, n: int = 400, k: int = 4) -> Samples:
    """Samples whose first feature is their own number, with classes of unequal frequency."""
    y = rng.choice(k, size=n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    y[:k] = np.arange(k)
    return samples_of(np.column_stack([np.arange(n), rng.normal(size=n)]), y, task="auto")


def numbers(splits: Splits) -> list[set[int]]:
    """The first feature of every sample of every part, unscaled, as whole numbers."""
    parts = [splits.train, splits.validation, *([splits.test] if splits.test else [])]
    return [set(part.x[:, 0].round().int().tolist()) for part in parts]


def test_parts_are_disjoint_and_complete(rng: np.random.Generator) -> None:
    samples = classes(rng)
    train, validation, test = numbers(split_samples(samples, TrialConfig(scaling="none")))
    assert len(train) + len(validation) + len(test) == 400
    assert train | validation | test == set(range(400))
    assert (len(validation), len(test)) == (60, 60)


def test_each_class_has_its_share_of_every_part(rng: np.random.Generator) -> None:
    samples = classes(rng, n=int(rng.integers(100, 900)), k=int(rng.integers(2, 9)))
    splits = split_samples(samples, TrialConfig(validation_fraction=0.2, test_fraction=0.1))
    assert splits.test is not None
    everything = np.bincount(samples.y)
    for part, fraction in ((splits.train, 0.7), (splits.validation, 0.2), (splits.test, 0.1)):
        counts = np.bincount(part.y, minlength=len(everything))
        assert np.abs(counts - fraction * everything).max() <= 2, (counts, everything)
    assert splits.class_counts == tuple(np.bincount(splits.train.y))


def test_no_class_leaves_the_training_part(rng: np.random.Generator) -> None:
    y = np.concatenate([np.full(80, 0), np.full(60, 1), [2], [3, 3], [4]])
    samples = samples_of(rng.normal(size=(len(y), 2)), y, task="classification")
    for seed in range(20):
        splits = split_samples(samples, TrialConfig(data_seed=seed))
        assert min(splits.class_counts) >= 1
        few = split_samples(samples, TrialConfig(data_seed=seed, max_samples=40))
        assert min(few.class_counts) >= 1


def test_the_seed_decides_the_split(rng: np.random.Generator) -> None:
    samples = classes(rng)
    first, again, other = (
        numbers(split_samples(samples, TrialConfig(data_seed=seed, seed=own, scaling="none")))
        for seed, own in ((3, 0), (3, 9), (4, 0))
    )
    assert first == again
    assert first[1] != other[1] and first[2] != other[2]


@pytest.mark.parametrize("own_test", [False, True])
def test_max_samples_are_all_that_is_used(own_test: bool, rng: np.random.Generator) -> None:
    samples = classes(rng)
    if own_test:
        samples = replace(samples, test=(samples.x[:100] + 1000, samples.y[:100]))
    limit = int(rng.integers(50, 350))
    splits = split_samples(samples, TrialConfig(max_samples=limit, scaling="none"))
    used = numbers(splits)
    assert sum(map(len, used)) == limit
    assert len(set.union(*used)) == limit
    assert (max(used[2]) >= 1000) == own_test


def test_max_samples_keep_the_share_of_every_class(rng: np.random.Generator) -> None:
    samples = classes(rng, n=1000)
    splits = split_samples(samples, TrialConfig(max_samples=200))
    assert splits.test is not None
    y = torch.cat([splits.train.y, splits.validation.y, splits.test.y])
    assert np.abs(np.bincount(y) - 0.2 * np.bincount(samples.y)).max() <= 1


def test_an_own_test_part_is_the_test_part(rng: np.random.Generator) -> None:
    samples = replace(classes(rng), test=(np.array([[900.0, 0.0], [901.0, 0.0]]), np.array([1, 0])))
    train, validation, test = numbers(split_samples(samples, TrialConfig(scaling="none", test_fraction=0.0)))
    assert test == {900, 901}
    assert train | validation == set(range(400)) and len(validation) == 60


def test_there_can_be_no_test_part(rng: np.random.Generator) -> None:
    splits = split_samples(classes(rng), TrialConfig(test_fraction=0.0))
    assert splits.test is None
    assert len(splits.train) + len(splits.validation) == 400


def test_the_smallest_set_still_has_every_part(rng: np.random.Generator) -> None:
    samples = samples_of(rng.normal(size=(3, 2)), rng.normal(size=3), task="auto")
    splits = split_samples(samples, TrialConfig())
    assert splits.test is not None
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [1, 1, 1]
    two = samples_of(rng.normal(size=(2, 2)), rng.normal(size=2), task="auto")
    with pytest.raises(DataError, match="2 samples are too few"):
        split_samples(two, TrialConfig())


def test_the_training_part_alone_decides_the_scaling(rng: np.random.Generator) -> None:
    """Other values in validation and test rows never change what the training part looks like."""
    x, y = rng.normal(3, 5, size=(200, 3)), rng.normal(size=200)
    x[rng.random(x.shape) < 0.2] = np.nan
    levels = rng.integers(0, 3, size=200).astype(float)
    columns = (*(Column(name) for name in "abc"), Column("kind", ("red", "green", "blue", "violet")))
    samples = Samples("features", "regression", np.column_stack([x, levels]), y[:, None], columns=columns)
    for scaling in ("standardize", "minmax", "tanh", "none"):
        config = TrialConfig(scaling=scaling)
        train, validation, test = choose_rows(samples, config)
        before = split_samples(samples, config)
        changed = samples.x.copy()
        outside = np.concatenate([validation, test])
        changed[outside, :3] = rng.normal(1e6, 1e5, size=(len(outside), 3))
        changed[outside, 3] = 3
        after = split_samples(replace(samples, x=changed), config)
        assert torch.equal(before.train.x, after.train.x)
        assert before.feature_names == after.feature_names
        assert not torch.equal(before.validation.x, after.validation.x)
        assert not after.validation.x[:, -3:].any(), "a level unseen in training is zero everywhere"
        changed[train[0], 0] = 1e6
        touched = split_samples(replace(samples, x=changed), config)
        assert not torch.equal(before.train.x[1:], touched.train.x[1:]) or scaling == "none"


def test_features_are_scaled_as_a_slow_twin_does_it(rng: np.random.Generator) -> None:
    samples = samples_of(rng.normal(7, 3, size=(100, 4)), rng.normal(size=100), task="auto")
    train, validation, _ = choose_rows(samples, TrialConfig())
    splits = split_samples(samples, TrialConfig(scaling="standardize"))
    mean, std = samples.x[train].mean(0), samples.x[train].std(0)
    np.testing.assert_allclose(splits.train.x, (samples.x[train] - mean) / std, atol=1e-5)
    np.testing.assert_allclose(splits.validation.x, (samples.x[validation] - mean) / std, atol=1e-5)
    np.testing.assert_allclose(splits.train.y, samples.y[train], rtol=1e-6)


def test_large_numbers_keep_their_differences(rng: np.random.Generator) -> None:
    """Seconds since 1970 are too large for float32, unless they are scaled first."""
    seconds = 1.7e9 + np.arange(100.0)
    samples = samples_of(seconds, rng.normal(size=100), task="auto")
    splits = split_samples(samples, TrialConfig(scaling="minmax"))
    assert len(splits.train.x.unique()) == len(splits.train)


def test_images_are_scaled_by_channel(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, size=(60, 3, 4, 5), dtype=np.uint8)
    images[:, 1] //= 7
    samples = samples_of(images, rng.integers(0, 2, size=60), task="auto")
    splits = split_samples(samples, TrialConfig(scaling="standardize"))
    assert splits.shapes.kind == "image" and splits.shapes.inputs == (3, 4, 5)
    assert splits.train.x.dtype == torch.float32 and splits.train.y.dtype == torch.int64
    np.testing.assert_allclose(splits.train.x.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(splits.train.x.std((0, 2, 3)), 1, atol=1e-3)
    raw = split_samples(samples, TrialConfig(scaling="none"))
    assert raw.train.x.max() > 200


def test_missing_numbers_and_categories_become_features(rng: np.random.Generator) -> None:
    x = np.column_stack([rng.normal(size=40), rng.integers(0, 2, size=40).astype(float), np.full(40, 5.0)])
    columns = (Column("size"), Column("colour", ("blue", "red")), Column("same"))
    samples = Samples("features", "regression", x, rng.normal(size=(40, 1)), columns=columns)
    train, _, _ = choose_rows(samples, TrialConfig())
    x[train[:3], 0] = np.nan
    x[train[3], 1] = np.nan
    splits = split_samples(samples, TrialConfig(scaling="none"))
    assert splits.feature_names == (
        *("size", "size=missing", "colour=blue", "colour=red", "colour=missing", "same"),
    )
    got = splits.train.x.numpy()
    median = np.median(x[train[3:], 0])
    np.testing.assert_allclose(got[:3, 0], median, rtol=1e-6)
    np.testing.assert_array_equal(got[:, 1], [1] * 3 + [0] * (len(train) - 3))
    np.testing.assert_array_equal(got[:, 2:5].sum(1), 1)
    assert got[3, 4] == 1 and got[:, 4].sum() == 1
    scaled = split_samples(samples, TrialConfig(scaling="standardize")).train.x
    assert set(scaled[:, 1:5].unique().tolist()) == {0.0, 1.0}
    assert torch.isfinite(scaled).all()


@pytest.mark.parametrize("n", [40, 600])
def test_texts_that_differ_in_every_row_are_left_out(n: int, rng: np.random.Generator) -> None:
    names = Column("name", tuple(f"person {i}" for i in range(n)))
    x = np.column_stack([np.arange(float(n)), rng.normal(size=n)])
    samples = Samples("features", "regression", x, rng.normal(size=(n, 1)), columns=(names, Column("a")))
    assert split_samples(samples, TrialConfig()).feature_names == ("a",)
    alone = replace(samples, x=x[:, :1], columns=(names,))
    with pytest.raises(DataError, match="no column is of use"):
        split_samples(alone, TrialConfig())


def test_the_most_frequent_of_many_levels_are_kept(rng: np.random.Generator) -> None:
    column = Column("town", tuple(f"{i:04d}" for i in range(2000)))
    often, seldom = np.repeat(np.arange(10.0), 100), np.arange(10.0, 2000.0)
    x = np.concatenate([often, seldom])[:, None]
    samples = Samples("features", "regression", x, rng.normal(size=(len(x), 1)), columns=(column,))
    names = split_samples(samples, TrialConfig()).feature_names
    assert names == tuple(f"town={i:04d}" for i in range(10))


def test_a_text_is_cut_by_position_and_asks_for_the_next_character(
    workplace: Path, rng: np.random.Generator
) -> None:
    text = "".join(rng.choice(list("abc déf\n"), size=1000))
    (workplace / "text.txt").write_text(text, encoding="utf-8", newline="")
    samples = read_text([workplace / "text.txt"], {"task": "auto", "sequence_length": 9})
    splits = split_samples(samples, TrialConfig(validation_fraction=0.2, test_fraction=0.1))
    assert splits.test is not None
    assert splits.shapes.kind == "tokens" and splits.shapes.inputs == (9,)
    assert splits.shapes.vocabulary == splits.shapes.outputs == len(set(text)) == len(splits.class_names)
    assert "".join(splits.class_names) == "".join(sorted(set(text)))
    inputs = torch.cat([splits.train.x, splits.validation.x, splits.test.x]).flatten()
    asked = torch.cat([splits.train.y, splits.validation.y, splits.test.y]).flatten()
    n = 999 // 9 * 9
    assert "".join(splits.class_names[i] for i in inputs) == text[:n]
    assert "".join(splits.class_names[i] for i in asked) == text[1 : n + 1]
    for part in (splits.train, splits.validation, splits.test):
        assert part.x.dtype == part.y.dtype == torch.int64
        assert torch.equal(part.x.flatten()[1:], part.y.flatten()[:-1])
    assert (len(splits.validation), len(splits.test)) == (22, 11)
    assert sum(splits.class_counts) == splits.train.y.numel()
    few = split_samples(samples, TrialConfig(max_samples=20))
    assert torch.equal(few.train.x, splits.train.x[: len(few.train)])
    assert few.test is not None
    assert len(few.train) + len(few.validation) + len(few.test) == 20
