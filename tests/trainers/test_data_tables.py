"""Tables are told apart by their content, and every mistake in one is told with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers.config import TrialConfig
from trainers.data import Samples, check_data, load_data
from trainers.data.csv_files import csv_table, read_csv
from trainers.data.parquet_files import read_parquet
from trainers.errors import DataError

AUTO = {"task": "auto", "target": None, "image_size": 8, "sequence_length": 4}


def table(path: Path, text: str, target: str | None, **settings: Any) -> Samples:
    path.write_text(text, encoding="utf-8")
    return read_csv([path], {**AUTO, "target": target, **settings})


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_table_with_a_header(separator: str, tmp_path: Path, rng: np.random.Generator) -> None:
    ages, towns = rng.normal(size=30), rng.choice(["Bonn", "Kiel"], size=30)
    kinds = np.array(["yes", "no"] * 15)
    rows = [separator.join(map(str, row)) for row in zip(ages, towns, kinds, strict=True)]
    samples = table(tmp_path / "t.csv", "\n".join([separator.join(["age", "town", "kind"]), *rows]), "kind")
    assert [column.name for column in samples.columns] == ["age", "town"]
    np.testing.assert_allclose(samples.x[:, 0], ages)
    levels = samples.columns[1].levels
    assert levels == ("Bonn", "Kiel") and [levels[int(code)] for code in samples.x[:, 1]] == list(towns)
    assert [samples.class_names[label] for label in samples.y] == list(kinds)


def test_a_table_without_a_header(tmp_path: Path) -> None:
    samples = table(tmp_path / "t.data", "5.1, red, 1\n4.9, blue, 2\n\n4.7, red, 1\n", "column 3")
    assert [column.name for column in samples.columns] == ["column 1", "column 2"]
    assert samples.columns[1].levels == ("blue", "red")
    assert samples.x.tolist() == [[5.1, 1], [4.9, 0], [4.7, 1]]
    texts = csv_table(tmp_path / "t.data", names=("size", "colour", "kind"))
    assert [column.name for column in texts.columns] == ["size", "colour", "kind"]


def test_headers_of_texts_are_told_from_rows_of_texts(tmp_path: Path) -> None:
    rows = "red,small\nblue,large\nred,large\nblue,small\n"
    (tmp_path / "with.csv").write_text("colour,size\n" + rows)
    (tmp_path / "without.csv").write_text(rows)
    assert [column.name for column in csv_table(tmp_path / "with.csv").columns] == ["colour", "size"]
    without = csv_table(tmp_path / "without.csv")
    assert [column.name for column in without.columns] == ["column 1", "column 2"]
    assert len(without.values) == 4


def test_missing_values_of_a_table(tmp_path: Path) -> None:
    rows = "a,b,y\n1,x,0\n?,?,1\nNA,,0\n4, null ,1\nnan,z,0\n"
    samples = table(tmp_path / "t.csv", rows, "y", task="classification")
    np.testing.assert_array_equal(samples.x[:, 0], [1, np.nan, np.nan, 4, np.nan])
    np.testing.assert_array_equal(samples.x[:, 1], [0, np.nan, np.nan, np.nan, 1])
    assert samples.columns[1].levels == ("x", "z")


def test_quoted_cells_and_the_index_of_pandas(tmp_path: Path) -> None:
    text = '\ufeff,note,y\n7,"a, ""b""\nc",1.5\n1,d,2.5\n2,"e",2.5\n'
    samples = table(tmp_path / "t.csv", text, "y")
    assert [column.name for column in samples.columns] == ["note"]
    assert samples.columns[0].levels == ('a, "b"\nc', "d", "e")
    assert samples.y.tolist() == [[1.5], [2.5], [2.5]]


def test_a_table_as_a_whole(workplace: Path, rng: np.random.Generator) -> None:
    lines = ["a,b,y", *(f"{i},{'uv'[i % 2]},{i % 2}" for i in range(100))]
    (workplace / "t.csv").write_text("\n".join(lines))
    config = TrialConfig(data="t.csv", target="y", scaling="none")
    check_data(config)
    splits = load_data(config)
    assert splits.feature_names == ("a", "b=u", "b=v")
    assert splits.shapes.task == "classification" and splits.shapes.outputs == 2
    np.testing.assert_array_equal(splits.train.x[:, 0] % 2, splits.train.y)
    np.testing.assert_array_equal(splits.train.x[:, 2], splits.train.y)


@pytest.mark.parametrize(
    ("text", "target", "told"),
    [
        ("", "y", "is empty"),
        ("a,y\n", "y", "has a header, but no rows"),
        ("a,b,y\n1,2,3\n4,5,6\n7,8\n9,1,2\n", "y", r"t\.csv, line 4: 2 cells, but the table has 3"),
        ('a,b,y\n1,"2\n2",3\n4,5,6,7\n', "y", "line 4: 4 cells"),
        ("age,colour,y\n1,2,3\n", "color", "no such column.*did you mean 'colour'.*age, colour, y"),
        ("age,colour,y\n1,2,3\n", None, "set target to one of: age, colour, y"),
        ("a,a,y\n1,2,3\n", "y", "two columns named 'a'"),
        ("a,y\n1,2\n2,\n3,?\n", "y", "target 'y' is missing in 2 of 3 rows, the first is row 2"),
        ("y\n1\n2\n3\n", "y", "no column to learn from"),
        ("a,y\n1,2\ninf,3\n", "y", "'a' is infinite in row 2"),
        ("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(300)) + "4o,1\n", "y", "row 301 with '4o'"),
        ("a,y\n" + "".join(f"{i},n{i}\n" for i in range(30)), "y", "30 distinct values in 30 rows"),
    ],
)
def test_an_unfit_table_is_told(text: str, target: str | None, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        table(tmp_path / "t.csv", text, target)


def test_a_table_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="no text table in UTF-8"):
        csv_table(tmp_path / "t.csv")


def test_parquet_columns_of_every_type(tmp_path: Path, rng: np.random.Generator) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    days = arrow.array([0, 1, None, 3] * 5, arrow.date32())
    columns = {
        "whole": arrow.array([1, None, 3, 4] * 5),
        "real": arrow.array(rng.normal(size=20)),
        "truth": arrow.array([True, False, None, True] * 5),
        "day": days,
        "text": arrow.array(["b", "a", None, "b"] * 5),
        "coded": arrow.array(["d", "c", None, "d"] * 5).dictionary_encode(),
        "y": arrow.array(["yes", "no"] * 10),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    samples = read_parquet([tmp_path / "t.parquet"], {**AUTO, "target": "y"})
    assert [column.levels for column in samples.columns] == [None] * 4 + [("a", "b"), ("c", "d")]
    day = 86_400e6
    expected = [[1, np.nan, 3, 4], [1, 0, np.nan, 1], [0, day, np.nan, 3 * day]]
    np.testing.assert_array_equal(samples.x[:4, [0, 2, 3]].T, expected)
    np.testing.assert_array_equal(samples.x[:4, 4:].T, [[1, 0, np.nan, 1]] * 2)
    np.testing.assert_allclose(samples.x[:, 1], columns["real"])
    assert samples.class_names == ("no", "yes")


def test_parquet_equals_the_same_table_as_text(workplace: Path, rng: np.random.Generator) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    size, colour = rng.normal(size=50), rng.choice(["red", "blue"], size=50)
    y = rng.normal(size=50)
    parquet.write_table(arrow.table({"size": size, "colour": colour, "y": y}), workplace / "t.parquet")
    rows = [f"{a},{b},{c}" for a, b, c in zip(size, colour, y, strict=True)]
    (workplace / "t.csv").write_text("\n".join(["size,colour,y", *rows]))
    one, other = (load_data(TrialConfig(data=name, target="y")) for name in ("t.parquet", "t.csv"))
    assert one.feature_names == other.feature_names and one.shapes == other.shapes
    np.testing.assert_array_equal(one.train.x, other.train.x)
    np.testing.assert_array_equal(one.validation.y, other.validation.y)


def test_unfit_parquet_is_told(workplace: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (workplace / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    parquet.write_table(arrow.table({"a": [[1], [2]], "y": [1, 2]}), workplace / "lists.parquet")
    for attempt in (check_data, load_data):
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            attempt(TrialConfig(data="broken.parquet", target="y"))
        with pytest.raises(DataError, match=r"no such column.*known: a, y"):
            attempt(TrialConfig(data="lists.parquet", target="z"))
    with pytest.raises(DataError, match="'a' is of type list"):
        load_data(TrialConfig(data="lists.parquet", target="y"))
