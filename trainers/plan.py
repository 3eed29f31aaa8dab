"""What is settled before the first step: whether settings fit the data, when to evaluate and to say so."""

from __future__ import annotations

from trainers.choices import unknown
from trainers.config import TrialConfig
from trainers.errors import SettingError
from trainers.losses import metric_names
from trainers.shapes import Shapes

LONG_EPOCH = 20_000
"""Samples in an epoch for each of which one evaluation is due (house rule)."""

EVALUATIONS = 10
"""Most evaluations in an epoch."""

REPORTS = (10, 5)
"""Messages for the first evaluation and for every other one, so that a training that goes wrong is seen
before the next one; and most of those that come to nothing show it before the first."""

LONGEST_SILENCE = 50
"""Steps without a message, at most."""


def check_fit(config: TrialConfig, shapes: Shapes) -> None:
    """Raises: SettingError for settings that mean nothing for such data."""
    mistakes: dict[str, str] = {}
    known = metric_names(shapes.task, shapes.kind)
    if config.best_by not in known:
        mistakes["best_by"] = f"for a {shapes.task} of {shapes.kind} {unknown(config.best_by, known)}"
    if config.augmentation != "none" and shapes.kind != "image":
        mistakes["augmentation"] = (
            f"{config.augmentation!r} is for images, but the data are {shapes.kind}; choose 'none'"
        )
    if config.label_smoothing and shapes.task == "regression":
        mistakes["label_smoothing"] = "is for classes, but the task is a regression; choose 0"
    if mistakes:
        raise SettingError(mistakes)


def evaluations_per_epoch(config: TrialConfig, samples: int) -> int:
    """Evaluations in an epoch; the same for every trial of a study, whatever its batch size."""
    wanted = config.evaluations_per_epoch or round(samples / LONG_EPOCH)
    return max(1, min(wanted, EVALUATIONS if config.evaluations_per_epoch is None else wanted))


def message_every(steps_per_evaluation: float, reports: int) -> int:
    """Steps between two messages, when there are to be so many for an evaluation."""
    return max(1, min(round(steps_per_evaluation / reports), LONGEST_SILENCE))
