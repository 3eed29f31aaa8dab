"""The data sets of the base programs: small, split by seed, and scaled, or left in their units."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import datasets
from torch import Tensor

Array = NDArray[np.float64]
Made = tuple[Array, Array]

VALIDATION = 0.3
"""Share of the samples that is kept for validation."""

SHARED = Path(os.environ.get("SEARCHER_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""Where larger data sets lie, when this machine has them."""


@dataclass(frozen=True)
class Data:
    """Training and validation samples. `outputs` is the number of classes, or 1 for a regression."""

    x: Tensor
    y: Tensor
    val_x: Tensor
    val_y: Tensor
    task: str
    outputs: int


def load(name: str, seed: int, scaled: bool = True) -> Data:
    """The data set, split by `seed`; with `scaled` false the inputs keep their natural units."""
    made, task, outputs = DATASETS[name]
    x, y = made()
    order = np.random.default_rng(seed).permutation(len(x))
    kept = int(len(x) * VALIDATION)
    val, train = order[:kept], order[kept:]
    if scaled and np.issubdtype(x.dtype, np.floating):
        axis = 0 if x.ndim == 2 else None
        x = (x - x[train].mean(axis)) / (x[train].std(axis) + 1e-6)
    if task == "regression":
        y = (y - y[train].mean()) / y[train].std()
    inputs, labels = torch.as_tensor(x), torch.as_tensor(y)
    inputs = inputs.float() if inputs.is_floating_point() else inputs.long()
    labels = labels.float() if task == "regression" else labels.long()
    return Data(inputs[train], labels[train], inputs[val], labels[val], task, outputs)


def is_here(name: str) -> bool:
    """Whether the files of the data set are on this machine."""
    folder = FOLDERS.get(name)
    return folder is None or (SHARED / folder).is_dir()


@cache
def digits() -> Made:
    """Handwritten digits of 8 x 8 pixels, grey values 0 to 16."""
    return datasets.load_digits(return_X_y=True)


@cache
def digit_images() -> Made:
    """The same as images of one channel."""
    x, y = digits()
    return x.reshape(-1, 1, 8, 8), y


@cache
def cancer() -> Made:
    """Breast cancer of Wisconsin: 30 measures whose units differ widely."""
    return datasets.load_breast_cancer(return_X_y=True)


@cache
def wine() -> Made:
    """178 wines of three growers, 13 measures."""
    return datasets.load_wine(return_X_y=True)


@cache
def diabetes() -> Made:
    """Progress of 442 patients, ten measures; much of it cannot be predicted."""
    return datasets.load_diabetes(return_X_y=True)


@cache
def housing() -> Made:
    """Made-up districts in natural units: income, age, rooms, people, latitude, longitude; the price."""
    rng = np.random.default_rng(11)
    n = 1500
    income, age = rng.lognormal(1.2, 0.4, n), rng.uniform(1, 52, n)
    rooms, people = rng.normal(5.4, 1.1, n), rng.lognormal(7.0, 0.6, n)
    north, west = rng.uniform(32.5, 42, n), rng.uniform(-124, -114, n)
    coast = np.exp(-(((north - 37.5) / 2) ** 2 + ((west + 122) / 2) ** 2))
    price = 0.4 * income * (1 + coast) + 0.1 * rooms + 2 * coast - 0.01 * age * np.sqrt(income)
    price = price - 0.1 * np.log(people) + rng.normal(0, 0.2, n)
    return np.stack([income, age, rooms, people, north, west], axis=1), price


@cache
def moons() -> Made:
    """Two interleaved half circles with noise."""
    x, y = datasets.make_moons(1000, noise=0.2, random_state=3)
    return x, y


@cache
def shapes() -> Made:
    """Noisy 10 x 10 images of a bar lying, a bar standing, a cross or a ring, anywhere."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 4, 1600)
    x = rng.normal(0, 0.4, (len(y), 1, 10, 10))
    for image, label in zip(x[:, 0], y, strict=True):
        top, left = rng.integers(0, 6, 2)
        part = image[top : top + 5, left : left + 5]
        if label in (0, 2):
            part[2, :] += 1.5
        if label in (1, 2):
            part[:, 2] += 1.5
        if label == 3:
            part[[0, 4], 1:4] += 1.5
            part[1:4, [0, 4]] += 1.5
    return x, y


@cache
def waves() -> Made:
    """Sequences of 14 noisy values of a wave; the class is one of four frequencies."""
    rng = np.random.default_rng(7)
    y = rng.integers(0, 4, 1600)
    t = np.arange(14)
    speed = np.array([0.3, 0.8, 1.4, 2.2])[y][:, None]
    x = np.sin(speed * t + rng.uniform(0, 2 * np.pi, (len(y), 1))) + rng.normal(0, 0.2, (len(y), 14))
    return x[:, :, None], y


@cache
def forecasts() -> Made:
    """Windows of 16 values of two mixed oscillations; the target is the value two steps later."""
    rng = np.random.default_rng(13)
    t = np.arange(17)[None, :] + np.array([0] * 16 + [1])
    slow, fast = rng.uniform(0.2, 0.5, (1600, 1)), rng.uniform(0.9, 1.2, (1600, 1))
    phase = rng.uniform(0, 2 * np.pi, (2, 1600, 1))
    z = np.sin(slow * t + phase[0]) + 0.5 * np.sin(fast * t + phase[1]) + rng.normal(0, 0.05, (1600, 17))
    return z[:, :16, None], z[:, 16]


@cache
def fashion() -> Made:
    """2,000 pictures of clothes, brought to 14 x 14 pixels."""
    folder = SHARED / FOLDERS["fashion"]
    pixels = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    x = np.frombuffer(pixels, np.uint8).reshape(-1, 14, 2, 14, 2)[:2000].mean(axis=(2, 4))
    return x[:, None], np.frombuffer(labels, np.uint8)[:2000].astype(np.int64)


@cache
def adult() -> Made:
    """3,000 people of the Adult census: numbers as they are, words as columns of 0 and 1."""
    lines = (SHARED / FOLDERS["adult"] / "adult-train.csv").read_text(encoding="utf-8").splitlines()[:3000]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    columns = list(zip(*rows, strict=True))
    parts = []
    for i in range(14):
        words = np.array(columns[i])
        if i in (0, 2, 4, 10, 11, 12):
            parts.append(words.astype(np.float64)[:, None])
        elif i != 13:
            found, counts = np.unique(words, return_counts=True)
            parts.append((words[:, None] == found[counts >= 60][None, :]).astype(np.float64))
    return np.concatenate(parts, axis=1), (np.array(columns[14]) == ">50K").astype(np.int64)


@cache
def shakespeare() -> Made:
    """2,400 windows of 24 characters of Shakespeare; the targets are the characters that follow."""
    text = (SHARED / FOLDERS["shakespeare"] / "input.txt").read_text(encoding="utf-8")[:60000]
    letters = {letter: i for i, letter in enumerate(sorted(set(text)))}
    codes = np.array([letters[letter] for letter in text])
    windows = codes[: 2400 * 24 + 1]
    return windows[:-1].reshape(-1, 24), windows[1:].reshape(-1, 24)


FOLDERS = {"fashion": "fashion-mnist", "adult": "adult", "shakespeare": "tinyshakespeare"}

DATASETS: dict[str, tuple[Callable[[], Made], str, int]] = {
    "digits": (digits, "classification", 10),
    "digit-images": (digit_images, "classification", 10),
    "cancer": (cancer, "classification", 2),
    "wine": (wine, "classification", 3),
    "diabetes": (diabetes, "regression", 1),
    "housing": (housing, "regression", 1),
    "moons": (moons, "classification", 2),
    "shapes": (shapes, "classification", 4),
    "waves": (waves, "classification", 4),
    "forecasts": (forecasts, "regression", 1),
    "fashion": (fashion, "classification", 10),
    "adult": (adult, "classification", 2),
    "shakespeare": (shakespeare, "classification", 64),
}
