"""Own code gives arrays or splits, and is told what it did wrong."""

from __future__ import annotations

import secrets
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.config import TrialConfig, config_from
from trainers.data import check_data, load_data
from trainers.errors import OwnCodeError
from trainers.shapes import Shapes


def write_code(folder: Path, body: str) -> str:
    """A module with `load(settings)` in the working folder; its name is new every time."""
    name = f"own_{secrets.token_hex(8)}"
    (folder / f"{name}.py").write_text(f"import numpy as np\nimport torch\ncalls = []\n{body}\n")
    return f"{name}:load"


LOAD = """
def load(settings):
    calls.append(1)
    generator = np.random.default_rng(settings["data_seed"])
    scale = settings.get("loudness", 1.0)
    return scale * generator.normal(size=(80, 3)), generator.integers(0, 2, size=80)
"""


def calls(data: str) -> int:
    return len(sys.modules[data.partition(":")[0]].calls)


def test_own_code_gives_arrays(workplace: Path) -> None:
    data = write_code(workplace, LOAD)
    config = TrialConfig(data=data)
    check_data(config)
    splits = load_data(config)
    assert splits.shapes == Shapes("features", (3,), 2, "classification")
    assert len(splits.digest) == 16
    assert load_data(replace(config, learning_rate=0.5, batch_size=2)) is splits
    assert calls(data) == 1


def test_own_code_is_asked_again_for_a_setting_it_looked_at(workplace: Path) -> None:
    data = write_code(workplace, LOAD)
    quiet = load_data(config_from({"data": data, "scaling": "none"}))
    loud = load_data(config_from({"data": data, "scaling": "none", "loudness": 9.0}))
    torch.testing.assert_close(loud.train.x, 9 * quiet.train.x)
    assert load_data(config_from({"data": data, "scaling": "none", "loudness": 9.0, "other": 1})) is loud
    assert load_data(config_from({"data": data, "scaling": "none", "epochs": 3})) is quiet
    assert calls(data) == 2


def test_own_code_that_looks_at_everything_is_always_asked_again(workplace: Path) -> None:
    data = write_code(workplace, LOAD.replace("calls.append(1)", "calls.append(dict(settings))"))
    splits = load_data(TrialConfig(data=data))
    assert load_data(TrialConfig(data=data)) is splits
    assert load_data(TrialConfig(data=data, learning_rate=0.5)) is not splits
    assert calls(data) == 2


def test_own_code_gives_tensors_and_images(workplace: Path) -> None:
    body = "def load(settings):\n    return torch.rand(30, 3, 8, 8).bfloat16(), torch.arange(30) % 3"
    splits = load_data(TrialConfig(data=write_code(workplace, body)))
    assert splits.shapes == Shapes("image", (3, 8, 8), 3, "classification")
    assert splits.class_names == ("0", "1", "2")


SPLITS = """
from trainers.data import Split, Splits
from trainers.shapes import Shapes

def part(n):
    return Split(torch.randint(0, 5, (n, 7)), torch.randint(0, 5, (n, 7)))

def load(settings):
    return Splits(part(20), part(4), None, Shapes("tokens", (7,), 5, "classification", 5))
"""


def test_own_code_gives_splits_as_they_are(workplace: Path) -> None:
    splits = load_data(TrialConfig(data=write_code(workplace, SPLITS)))
    assert (len(splits.train), len(splits.validation), splits.test) == (20, 4, None)
    assert splits.class_counts == tuple(np.bincount(splits.train.y.flatten(), minlength=5))
    assert len(splits.digest) == 16


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("return None", "gives a NoneType; it must give"),
        ("return 1, 2, 3", "gives a tuple of 3"),
        ("return np.ones((4, 2)), np.arange(5)", "one row for each sample"),
        ("return np.ones((4, 2)), np.array([0, 1, np.nan, 1])", "NaN"),
        ("return [[1, 2], [3]], [0, 1]", "no array"),
        ("return [object()] * 4, [0, 1, 0, 1]", "x needs numbers"),
        ("raise KeyError('colour')", r"raised KeyError: 'colour' \(.*own_.*py, line 5\)"),
        ("return settings['colour']", "raised KeyError: 'colour'"),
    ],
)
def test_wrong_own_code_is_told(wrong: str, told: str, workplace: Path) -> None:
    data = write_code(workplace, f"def load(settings):\n    {wrong}")
    with pytest.raises(OwnCodeError, match=told) as error:
        load_data(TrialConfig(data=data))
    assert data in str(error.value)


FEATURES = Shapes("features", (2,), 3, "classification")


@pytest.mark.parametrize(
    ("x", "y", "shapes", "told"),
    [
        (torch.rand(4, 3), torch.zeros(4, dtype=torch.int64), FEATURES, r"train.x needs the shape \(4, 2\)"),
        (torch.rand(4, 2).double(), torch.zeros(4, dtype=torch.int64), FEATURES, "torch.float32, but has"),
        (torch.rand(4, 2), torch.zeros(4), FEATURES, r"train.y needs .* torch.int64"),
        (torch.rand(4, 2), torch.tensor([0, 1, 2, 3]), FEATURES, "ids from 0 to 2, but has 0 to 3"),
        (torch.full((4, 2), torch.nan), torch.zeros(4, dtype=torch.int64), FEATURES, "NaN or infinite"),
        (torch.rand(0, 2), torch.zeros(0, dtype=torch.int64), FEATURES, "train.x needs"),
        (torch.rand(4, 2), torch.rand(4), Shapes("features", (2,), 1, "regression"), r"\(4, 1\)"),
    ],
)
def test_splits_that_do_not_fit_their_shapes_are_told(
    x: torch.Tensor, y: torch.Tensor, shapes: Shapes, told: str, workplace: Path
) -> None:
    torch.save((x, y), workplace / "part.pt")
    body = (
        "from trainers.data import Split, Splits\nfrom trainers.shapes import Shapes\n"
        "def load(settings):\n    part = Split(*torch.load('part.pt'))\n"
        f"    return Splits(part, part, None, {shapes!r})"
    )
    with pytest.raises(OwnCodeError, match=told):
        load_data(TrialConfig(data=write_code(workplace, body)))


def test_own_code_that_is_not_there_is_told_early(workplace: Path) -> None:
    data = write_code(workplace, LOAD)
    with pytest.raises(OwnCodeError, match=r"data: .*there is no 'lod'; did you mean 'load'"):
        check_data(TrialConfig(data=data.replace(":load", ":lod")))
    with pytest.raises(OwnCodeError, match="cannot be imported"):
        check_data(TrialConfig(data="no_such_module_anywhere:load"))
