"""IDX files and arrays are read as a slow reader would, and every unfit one is told clearly."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers.config import TrialConfig
from trainers.data import check_data, load_data
from trainers.data.arrays import read_npz, samples_of
from trainers.data.idx import read_idx, read_idx_set
from trainers.errors import DataError

AUTO = {"task": "auto", "target": None, "image_size": 8, "sequence_length": 4}


def idx_bytes(array: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


def idx_by_hand(content: bytes) -> list[Any]:
    """A slow reader of bytes in IDX: one number after the other."""
    shape = [struct.unpack(">I", content[4 + 4 * i : 8 + 4 * i])[0] for i in range(content[3])]
    numbers = iter(content[4 + 4 * content[3] :])

    def nest(sizes: list[int]) -> Any:
        return [nest(sizes[1:]) for _ in range(sizes[0])] if sizes else next(numbers)

    return nest(shape)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 4, 3), (2, 3, 1, 2)])
def test_idx_equals_a_slow_reader(
    packed: bool, shape: tuple[int, ...], tmp_path: Path, rng: np.random.Generator
) -> None:
    content = idx_bytes(rng.integers(0, 256, size=shape, dtype=np.uint8))
    path = tmp_path / "array.idx"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_idx(path).tolist() == idx_by_hand(content)


def test_idx_holds_wider_numbers_too(tmp_path: Path, rng: np.random.Generator) -> None:
    numbers = rng.normal(size=(3, 2)).astype(">f4")
    (tmp_path / "array.idx").write_bytes(idx_bytes(numbers, code=0x0D))
    np.testing.assert_array_equal(read_idx(tmp_path / "array.idx"), numbers)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda whole: gzip.compress(whole)[:-20], "cut off or damaged"),
        (lambda whole: gzip.compress(whole)[:30] + b"\xff" * 30, "cut off or damaged"),
        (lambda whole: whole[:-5], r"announces an array of shape \(6, 5\).* takes 42 bytes.* holds 37"),
        (lambda whole: whole + b"\0", "holds 43"),
        (lambda whole: b"\x89PNG" + whole, "no IDX file: it starts with 89 50 4e 47"),
        (lambda whole: b"", "starts with nothing"),
    ],
)
def test_a_damaged_idx_file_is_told(damage: Any, told: str, tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "array.gz"
    path.write_bytes(damage(idx_bytes(rng.integers(0, 256, size=(6, 5), dtype=np.uint8))))
    with pytest.raises(DataError, match=told) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_labels_out_of_range_are_told(tmp_path: Path, rng: np.random.Generator) -> None:
    images, labels = rng.integers(0, 256, size=(6, 4, 4), dtype=np.uint8), np.array([0, 1, 2, 0, 1, 9])
    files = []
    for name, array in zip("abcd", [images, labels, images, labels % 3], strict=True):
        files.append(tmp_path / name)
        files[-1].write_bytes(idx_bytes(array.astype(np.uint8)))
    with pytest.raises(DataError, match="labels from 0 to 2, but got 9"):
        read_idx_set(files, AUTO, class_names=("x", "y", "z"))


def test_npz_with_an_own_test_part(workplace: Path, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(50, 6, 6, 3)), rng.integers(0, 3, size=50)
    np.savez(workplace / "arrays.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    splits = load_data(TrialConfig(data="arrays.npz", scaling="none"))
    assert splits.shapes.kind == "image" and splits.shapes.inputs == (3, 6, 6)
    assert splits.test is not None
    tests = sorted(splits.test.x.flatten(1).tolist())
    np.testing.assert_allclose(
        tests, sorted(x[40:].transpose(0, 3, 1, 2).reshape(10, -1).tolist()), rtol=1e-5
    )


def test_npz_of_features_and_texts_as_labels(tmp_path: Path, rng: np.random.Generator) -> None:
    y = rng.choice(["cat", "dog"], size=30)
    np.savez(tmp_path / "arrays.npz", x=rng.normal(size=(30, 2)), y=y)
    samples = read_npz([tmp_path / "arrays.npz"], AUTO)
    assert [samples.class_names[label] for label in samples.y] == list(y)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.ones((4, 2)), "z": np.ones(4)}, "needs the arrays x and y.*holds x, z"),
        ({"x": np.array([["a", "b"]] * 4), "y": np.arange(4)}, "x needs numbers, but its type is <U1"),
        ({"x": np.array([[object()]] * 4), "y": np.arange(4)}, "plain arrays of numbers"),
        ({"x": np.ones((4, 2)), "y": np.arange(5)}, r"one row for each sample.*\(4, 2\) and \(5,\)"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "one row for each sample"),
        ({"x": np.ones((4, 2, 2, 2, 2)), "y": np.arange(4)}, r"but got \(4, 2, 2, 2, 2\)"),
        ({"x": np.array([[1.0], [np.nan]] * 2), "y": np.arange(4)}, r"2 values that are NaN.*index \(1, 0\)"),
        ({"x": np.ones((4, 1)), "y": np.array([1, 2, 3, np.inf])}, "y is missing.* row 4"),
        ({"x": np.ones((4, 1)), "y": np.ones(4, int)}, "y is '1' in all 4 rows"),
        ({"x": np.ones((4, 1)), "y": np.ones((4, 2, 2))}, r"shape \[n\] or \[n, targets\]"),
        ({"x": np.ones((30, 1)), "y": np.arange(30)}, "30 distinct values in 30 rows, too many"),
    ],
)
def test_unfit_arrays_are_told(arrays: dict[str, Any], told: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", **arrays)
    with pytest.raises(DataError, match=told):
        read_npz([tmp_path / "arrays.npz"], AUTO)


def test_an_archive_that_is_cut_off_is_told(workplace: Path, rng: np.random.Generator) -> None:
    path = workplace / "arrays.npz"
    np.savez(path, x=rng.normal(size=(50, 3)), y=rng.normal(size=50))
    path.write_bytes(path.read_bytes()[:700])
    for attempt in (check_data, load_data):
        with pytest.raises(DataError, match=r"no \.npz archive"):
            attempt(TrialConfig(data="arrays.npz"))


def test_labels_only_the_test_part_has_are_told(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 2))
    with pytest.raises(DataError, match=r"test part has the label 7 in y.*has 0, 1"):
        samples_of(x, np.array([0, 1, 0, 1]), test=(x, np.array([0, 1, 7, 0])), task="auto")
    with pytest.raises(DataError, match=r"shape \(2,\), but those of the own test part \(3,\)"):
        samples_of(x, np.array([0, 1, 0, 1]), test=(np.ones((1, 3)), np.array([0])), task="auto")


def test_the_task_follows_the_target(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 2))
    few, many = rng.integers(0, 3, size=200), np.arange(200)
    targets: list[tuple[np.ndarray, str, str]] = [
        (few, "auto", "classification"),
        (few.astype(float), "auto", "classification"),
        (few.astype(str), "auto", "classification"),
        (few + 0.5, "auto", "regression"),
        (many.astype(float), "auto", "regression"),
        (few, "regression", "regression"),
        (few + 0.5, "classification", "classification"),
        (rng.normal(size=(200, 3)), "auto", "regression"),
    ]
    for y, task, expected in targets:
        samples = samples_of(x, y, task=task)
        assert samples.task == expected, (y[:3], task)
        assert samples.y.shape == ((200,) if expected == "classification" else (200, y[0].size))
    with pytest.raises(DataError, match="cannot be a regression's target"):
        samples_of(x, few.astype(str), task="regression")
    with pytest.raises(DataError, match="one label for each sample"):
        samples_of(x, rng.normal(size=(200, 3)), task="classification")
