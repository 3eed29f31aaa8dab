"""Folders of images and texts are read as they are, and every unfit one is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainers.config import TrialConfig
from trainers.data import check_data, load_data
from trainers.data.image_folders import read_images
from trainers.data.texts import read_text
from trainers.errors import DataError

AUTO = {"task": "auto", "target": None, "image_size": 8, "sequence_length": 4}


def picture(path: Path, pixels: np.ndarray) -> None:
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.fromarray(pixels).save(path)


def test_a_folder_of_images(workplace: Path, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, size=(2, 6, 8, 8), dtype=np.uint8)
    for label, name in enumerate(("cat", "dog")):
        for i in range(6):
            picture(workplace / "photos" / name / f"{i}.png", pixels[label, i])
    (workplace / "photos" / "README.md").write_text("no image")
    samples = read_images([workplace / "photos"], AUTO)
    assert samples.class_names == ("cat", "dog")
    np.testing.assert_array_equal(samples.x, pixels.reshape(12, 1, 8, 8))
    assert samples.y.tolist() == [0] * 6 + [1] * 6
    config = TrialConfig(data="photos", image_size=5)
    check_data(config)
    assert load_data(config).shapes.inputs == (1, 5, 5)


def test_one_colour_image_makes_all_of_them_three_channels(tmp_path: Path, rng: np.random.Generator) -> None:
    grey = rng.integers(0, 256, size=(8, 8), dtype=np.uint8)
    colour = rng.integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    picture(tmp_path / "train" / "a" / "1.png", grey)
    picture(tmp_path / "train" / "b" / "1.png", grey)
    picture(tmp_path / "test" / "b" / "1.png", colour)
    samples = read_images([tmp_path], AUTO)
    assert samples.x.shape == (2, 3, 8, 8) and samples.test is not None
    np.testing.assert_array_equal(samples.x[0], np.stack([grey] * 3))
    np.testing.assert_array_equal(samples.test[0][0], colour.transpose(2, 0, 1))
    assert samples.test[1].tolist() == [1]


def test_unfit_folders_of_images_are_told(workplace: Path, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, size=(8, 8), dtype=np.uint8)
    picture(workplace / "photos" / "a" / "1.png", pixels)
    with pytest.raises(DataError, match=r"two classes at least.*has images in: a"):
        check_data(TrialConfig(data="photos"))
    picture(workplace / "photos" / "b" / "1.png", pixels.astype(np.uint16))
    with pytest.raises(DataError, match=r"b/1\.png is an image of mode I;16"):
        read_images([workplace / "photos"], AUTO)
    (workplace / "photos" / "b" / "1.png").write_bytes(b"\x89PNG and nothing more")
    with pytest.raises(DataError, match=r"b/1\.png cannot be read as an image"):
        read_images([workplace / "photos"], AUTO)
    picture(workplace / "parts" / "train" / "a" / "1.png", pixels)
    picture(workplace / "parts" / "train" / "b" / "1.png", pixels)
    picture(workplace / "parts" / "test" / "c" / "1.png", pixels)
    with pytest.raises(DataError, match=r"has the class 'c', which .*it has a, b"):
        check_data(TrialConfig(data="parts"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"aaaaaaaaaaaaaaaaaaaaaa", "two different characters"),
        (b"abcdefghijkl", "12 characters, too few for three samples of sequence_length 4; choose at most 3"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
    ],
)
def test_an_unfit_text_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_text([tmp_path / "t.txt"], AUTO)


def test_a_text_is_no_regression(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abc" * 20)
    with pytest.raises(DataError, match="a text asks for classes"):
        read_text([tmp_path / "t.txt"], {**AUTO, "task": "regression"})
