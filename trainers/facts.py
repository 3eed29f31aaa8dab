"""What is known of a training before its first step: the facts its messages and its monitor begin with."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from diagnostics.data import describe_data
from trainers.config import WHERE, TrialConfig
from trainers.data import Splits
from trainers.losses import trivial_loss
from trainers.parts.schedules import LASTING

Facts = dict[str, float | int | str]

OPTIONAL = ("clip_norm", "label_smoothing", "l1", "warmup_epochs", "ema_decay")
"""Settings that are facts only where they do something."""

PLANNED = ("epochs", "total_steps")
"""Facts that say how long a training is to be."""

_of_data: WeakKeyDictionary[Splits, Facts] = WeakKeyDictionary()


def known_facts(config: TrialConfig, splits: Splits, steps_per_epoch: int) -> Facts:
    """The facts of a training with these settings on these data."""
    settings: Mapping[str, float | int | str] = config.settings()
    return {
        **data_facts(splits),
        "data_digest": splits.digest,
        "loss_name": "mse" if splits.shapes.task == "regression" else "cross_entropy",
        "batch_size": min(config.batch_size, len(splits.train)),
        "epochs": config.epochs,
        "steps_per_epoch": steps_per_epoch,
        "total_steps": config.epochs * steps_per_epoch,
        **{name: settings[name] for name in OPTIONAL if settings[name]},
    }


def origin_of(config: TrialConfig, facts: Facts) -> dict[str, object]:
    """What a state must be of to be taken up: all settings but those that say where, or when it is over for
    lack of a better evaluation, and the data. Under a schedule that does not know the end the epochs may be
    others."""
    free = {*WHERE, "patience", *(("epochs",) if config.schedule in LASTING else ())}
    what = {name: value for name, value in config.settings().items() if name not in free}
    return {**what, **{name: facts[name] for name in ("data_digest", "train_samples", "validation_samples")}}


def data_facts(splits: Splits) -> Facts:
    """What can be seen of the data alone; worked out once for a set that is remembered."""
    if splits not in _of_data:
        _of_data[splits] = _describe(splits)
    return _of_data[splits]


def _describe(splits: Splits) -> Facts:
    train, validation, shapes = splits.train, splits.validation, splits.shapes
    facts: Facts = {
        "task": shapes.task,
        "outputs": shapes.outputs,
        "trivial_loss": trivial_loss(train.y, shapes.task, shapes.outputs),
        "train_samples": len(train),
        "validation_samples": len(validation),
    }
    if shapes.kind == "tokens":
        return facts  # neighbours in a text depend on each other, and the size of an id says nothing
    arrays = (part.numpy() for part in (train.x, train.y, validation.x, validation.y))
    found = describe_data(*arrays, task=shapes.task)
    found.pop("label_order_runs_unless_shuffled", None)  # the trainer shuffles
    return facts | found
