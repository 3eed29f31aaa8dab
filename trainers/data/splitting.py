"""Samples to `Splits`: which rows go where, and everything that is learned from the training rows.

Notation
    n       samples of one pool of rows
    strata  the class of each row; one stratum for a regression         [n]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.data.encoding import learn_encoding
from trainers.data.samples import Array, Samples, Split, Splits
from trainers.errors import DataError
from trainers.parts.scalings import SCALINGS, Fit, Scale
from trainers.shapes import Shapes

if TYPE_CHECKING:
    from trainers.config import TrialConfig

Rows = NDArray[np.int64]


def split_samples(samples: Samples, config: TrialConfig, digest: str = "") -> Splits:
    """Training, validation and test part; a set's own test part is the test part.

    Rows are drawn by `data_seed`, class by class; a text is cut by position. Missing values,
    categories and scaling are learned on the training part alone; ones and zeros are not scaled,
    pixels are, and with scaling 'none' stay as they are stored, such as 0 to 255.
    Raises: DataError when there are too few samples for every part.
    """
    train, validation, test = choose_rows(samples, config)
    x_test, y_test = samples.test or (samples.x, samples.y)
    xs = [samples.x[train], samples.x[validation], x_test[test]]
    ys = [samples.y[train], samples.y[validation], y_test[test]]
    names: tuple[str, ...] = ()
    scaled: Array | None = None
    if samples.kind == "features":
        encoding = learn_encoding(xs[0], samples.columns)
        xs, names, scaled = [encoding.encode(x) for x in xs], encoding.names, encoding.measured
    inputs = _inputs(xs, samples, config.scaling, scaled)
    parts = [Split(x, _targets(y, samples)) for x, y in zip(inputs, ys, strict=True)]
    classes = len(samples.class_names)
    return Splits(
        train=parts[0],
        validation=parts[1],
        test=parts[2] if len(test) else None,
        shapes=Shapes(
            kind=samples.kind,
            inputs=tuple(parts[0].x.shape[1:]),
            outputs=classes or parts[0].y.shape[1],
            task=samples.task,
            vocabulary=classes if samples.kind == "tokens" else None,
        ),
        class_counts=class_counts(parts[0].y, classes),
        class_names=samples.class_names,
        feature_names=names,
        digest=digest,
    )


def class_counts(y: Tensor, classes: int) -> tuple[int, ...]:
    """How often each class is asked for; empty for a regression, which has no classes."""
    return tuple(torch.bincount(y.flatten(), minlength=classes).tolist()) if classes else ()


def choose_rows(samples: Samples, config: TrialConfig) -> tuple[Rows, Rows, Rows]:
    """Rows for training, validation and test; those for test count in the own test part, if any."""
    rng = np.random.default_rng(config.data_seed)
    pool = np.arange(len(samples.y))
    own_test = np.arange(len(samples.test[1])) if samples.test else np.arange(0)
    total = len(pool) + len(own_test)
    if config.max_samples is not None and config.max_samples < total:
        kept = round(config.max_samples * len(own_test) / total)
        kept = min(max(1, kept), config.max_samples - 2) if samples.test else 0
        pool = _keep(pool, samples.y, samples, config.max_samples - kept, rng)
        if samples.test:
            own_test = _keep(own_test, samples.test[1], samples, kept, rng)
    n, test_fraction = len(pool), 0.0 if samples.test else config.test_fraction
    validations = max(1, round(n * config.validation_fraction))
    tests = max(1, round(n * test_fraction)) if test_fraction else 0
    if n - validations - tests < 1:
        raise DataError(
            f"data: {n} samples are too few for a training part besides {validations} for validation "
            f"and {tests} for test; give more samples or smaller fractions"
        )
    if samples.kind == "tokens":
        end = n - tests
        return pool[: end - validations], pool[end - validations : end], pool[end:]
    rest, validation = _take(pool, _strata(samples.y[pool], samples), validations, rng)
    train, test = _take(rest, _strata(samples.y[rest], samples), tests, rng)
    return train, validation, (own_test if samples.test else test)


def _keep(rows: Rows, y: Array, samples: Samples, count: int, rng: np.random.Generator) -> Rows:
    """`count` of the rows: the first ones of a text, else drawn so that no class is lost early."""
    if samples.kind == "tokens":
        return rows[:count]
    return _take(rows, _strata(y, samples), len(rows) - count, rng)[0]


def _take(rows: Rows, strata: Array, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """What stays of the rows, and the `count` that are taken, each in random order."""
    order = rng.permutation(len(rows))
    order = order[np.argsort(strata[order], kind="stable")]
    _, starts, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    rank = np.arange(len(rows)) - np.repeat(starts, sizes)
    taken = rank < np.repeat(_shares(sizes, count, rng), sizes)
    return rows[rng.permutation(order[~taken])], rows[rng.permutation(order[taken])]


def _shares(sizes: Rows, count: int, rng: np.random.Generator) -> Rows:
    """How many of each stratum to take, `count` in all: its share, rounded down or up.

    The last one of a stratum stays as long as there are others to take.
    """
    take, rest = np.divmod(sizes * count, max(1, int(sizes.sum())))
    while (short := count - int(take.sum())) > 0:
        left = sizes - take
        able = np.flatnonzero(left > min(1, left.max() - 1))
        by_need = np.lexsort((rng.random(len(able)), -rest[able]))
        take[able[by_need[:short]]] += 1
    return take


def _strata(y: Array, samples: Samples) -> Array:
    return y if samples.task == "classification" else np.zeros(len(y), dtype=np.int64)


def _inputs(xs: list[Array], samples: Samples, scaling: str, scaled: Array | None) -> list[Tensor]:
    """The inputs of all parts, scaled as the first one asks for."""
    if samples.kind == "tokens":
        return [torch.tensor(x, dtype=torch.int64) for x in xs]
    wide = torch.float64 if samples.kind == "features" else torch.float32
    tensors = [torch.from_numpy(np.ascontiguousarray(x)).to(wide, copy=True) for x in xs]
    scale = _fit(tensors[0], SCALINGS[scaling], scaled)
    return [x.sub_(scale.shift).mul_(scale.factor).to(torch.float32) for x in tensors]


def _fit(x: Tensor, fit: Fit, scaled: Array | None) -> Scale:
    """The scaling of the training inputs; features that are not `scaled` stay as they are."""
    if scaled is None:
        return fit(x)
    at = torch.from_numpy(scaled)
    shift, factor = x.new_zeros(len(at)), x.new_ones(len(at))
    if at.any():
        scale = fit(x[:, at])
        shift[at], factor[at] = scale.shift.to(x), scale.factor.to(x)
    return Scale(shift, factor)


def _targets(y: Array, samples: Samples) -> Tensor:
    dtype = torch.int64 if samples.task == "classification" else torch.float32
    return torch.tensor(y, dtype=dtype)
