"""`TrialConfig`: every setting of one training, flat and frozen, checked at birth.

A new setting is one field here: its default and its check. Whoever reads it finds it by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from trainers.choices import choices, unknown
from trainers.errors import SettingError
from trainers.losses import metric_names
from trainers.models import MODELS
from trainers.owncode import is_own_code
from trainers.parts.activations import ACTIVATIONS
from trainers.parts.augmentations import AUGMENTATIONS
from trainers.parts.dropouts import DROPOUTS
from trainers.parts.inits import INITS
from trainers.parts.norms import NORMS
from trainers.parts.optimizers import OPTIMIZERS
from trainers.parts.scalings import SCALINGS
from trainers.parts.schedules import SCHEDULES

Check = Callable[[object], str | None]


def _number(
    default: float | None,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> Any:
    def check(value: object) -> str | None:
        if value is None and default is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"needs a finite number, but got {value!r}"
        if not (low <= value <= high and above < value < below):
            return f"needs a number {_bounds(low, high, above, below)}, but got {value!r}"
        return None

    return field(default=default, metadata={"check": check})


def _whole(default: int | None, *, low: int) -> Any:
    def check(value: object) -> str | None:
        if value is None and default is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            return f"needs a whole number, but got {value!r}"
        return None if value >= low else f"needs a whole number of at least {low}, but got {value!r}"

    return field(default=default, metadata={"check": check})


def _choice(default: str, known: Iterable[str], *, own: str = "") -> Any:
    """One of the `known` names, or, when `own` says what it is, something that is not in the table."""

    def check(value: object) -> str | None:
        if not isinstance(value, str):
            return f"needs a name, but got {value!r}; known: {', '.join(known)}"
        if value in known or (own and is_own_code(value)):
            return None
        return unknown(value, known) + (f"; or {own}" if own else "")

    return field(default=default, metadata={"check": check})


def _augmentation(default: str) -> Any:
    def check(value: object) -> str | None:
        for name in str(value).split("+"):
            if name not in AUGMENTATIONS:
                return unknown(name, AUGMENTATIONS) + "; several are joined with '+'"
        return None

    return field(default=default, metadata={"check": check})


def _typed(default: Any, kind: type, what: str) -> Any:
    def check(value: object) -> str | None:
        if (value is None and default is None) or isinstance(value, kind):
            return None
        return f"needs {what}, but got {value!r}"

    return field(default=default, metadata={"check": check})


def _flag(default: bool) -> Any:
    return _typed(default, bool, "true or false")


def _flag_or(default: bool | str, *names: str) -> Any:
    def check(value: object) -> str | None:
        known = ", ".join(repr(name) for name in names)
        known_one = isinstance(value, bool) or value in names
        return None if known_one else f"needs true, false or {known}, but got {value!r}"

    return field(default=default, metadata={"check": check})


def _text(default: str | None) -> Any:
    return _typed(default, str, "a text")


WHERE = frozenset(
    ("device", "threads", "data_dir", "folder", "save_every", "state_mb", "keep_last_state", "micro_batch")
)
"""Settings that say where and how a training is carried out, not what is trained."""

OWN_MODEL = "own code as 'package.module:function'"


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Every setting of one training. Raises: SettingError with all mistakes at once.

    Rates and fractions are between 0 and 1; `*_epochs` count passes over the training data;
    `own` holds settings only own code knows.
    """

    # data
    data: str = _text("digits")  # a name in DATASETS, a path or own code: checked by `check_data`
    data_dir: str | None = _text(None)
    target: str | None = _text(None)  # the label column of a table
    task: str = _choice("auto", ("auto", "classification", "regression"))
    validation_fraction: float = _number(0.15, above=0, below=1)
    test_fraction: float = _number(0.15, low=0, below=1)
    data_seed: int = _whole(0, low=0)  # of the splits; the same for every trial of a study
    max_samples: int | None = _whole(None, low=3)  # use only so many, drawn with `data_seed`
    image_size: int = _whole(32, low=1)  # images of a folder are brought to this height and width
    sequence_length: int = _whole(64, low=1)  # characters a text sample holds
    scaling: str = _choice("standardize", SCALINGS)
    augmentation: str = _augmentation("none")

    # model
    model: str = _choice("mlp", MODELS, own=OWN_MODEL)
    width: int = _whole(128, low=1)  # units of a hidden layer (mlp, recurrent)
    depth: int = _whole(2, low=1)  # hidden layers, convolutions, residual stages or recurrent layers
    channels: int = _whole(32, low=1)  # of the first convolution
    pooling: str = _choice("max", ("max", "mean"))
    activation: str = _choice("relu", ACTIVATIONS)
    norm: str = _choice("none", NORMS)
    norm_groups: int = _whole(8, low=1)  # group norm: at most so many groups
    dropout: float = _number(0.0, low=0, below=1)  # the rate
    dropout_kind: str = _choice("dropout", DROPOUTS)
    dropout_block: int = _whole(3, low=1)  # dropblock: side of a block, in pixels
    init: str = _choice("kaiming_normal", INITS)
    init_std: float = _number(0.05, low=0)  # normal, truncated_normal; uniform draws within sqrt(3) std
    init_value: float = _number(0.01)  # constant
    init_scale: float = _number(1.0, above=0)  # variance_scaling, and the gain of orthogonal
    init_mode: str = _choice("fan_in", ("fan_in", "fan_out", "fan_avg"))
    init_distribution: str = _choice("truncated_normal", ("normal", "truncated_normal", "uniform"))
    checkpoint: str | None = _text(None)  # weights to fine-tune, as `searcher best --model` saves them
    head_learning_rate: float | None = _number(None, above=0)  # of the last layer, when fine-tuning

    # optimisation
    optimizer: str = _choice("adam", OPTIMIZERS)
    learning_rate: float = _number(1e-3, above=0)
    momentum: float | None = _number(None, low=0, below=1)  # none: 0 for sgd and rmsprop, else 0.9
    beta2: float = _number(0.999, low=0, below=1)  # adam's kind, and rmsprop's smoothing
    weight_decay: float = _number(0.0, low=0)
    l1: float = _number(0.0, low=0)  # weight of the sum of absolute weights in the loss
    clip_norm: float | None = _number(None, above=0)  # longest gradient, over all parameters
    ema_decay: float | None = _number(None, above=0, below=1)  # averaged weights are evaluated and kept
    schedule: str = _choice("constant", SCHEDULES)
    schedule_every: float = _number(1.0, above=0)  # epochs between the drops of step and exponential
    schedule_factor: float = _number(0.5, above=0, high=1)
    warmup_epochs: float = _number(0.0, low=0)
    batch_size: int = _whole(64, low=1)
    epochs: int = _whole(10, low=1)
    label_smoothing: float = _number(0.0, low=0, below=1)
    evaluations_per_epoch: int | None = _whole(None, low=1)  # none: one per 20,000 samples, 1 to 10
    patience: int | None = _whole(None, low=1)  # stop after so many evaluations without a better one
    best_by: str = _choice("val_loss", metric_names("auto"))  # which evaluation is the best one
    keep: str = _choice("best", ("best", "last"))  # the evaluation whose weights are kept
    seed: int = _whole(0, low=0)

    # machine
    device: str = _text("auto")  # auto, cpu, cuda, cuda:1, mps
    precision: str = _choice("auto", ("auto", "float32", "bfloat16"))
    channels_last: bool = _flag(True)  # on CUDA
    compile: bool | str = _flag_or(False, "auto")  # both passes; auto: where it is known to pay
    threads: int = _whole(1, low=1)  # of torch, on the CPU
    folder: str | None = _text(None)  # where the best weights go, and the states
    save_every: float | None = _number(None, low=0)  # seconds between two states; none: no states
    state_mb: float | None = _number(None, above=0)  # a larger state is not kept
    keep_last_state: bool = _flag(False)  # it stays at the end, to go on from with more epochs
    micro_batch: int | None = _whole(None, low=1)  # samples that go through the model at once; none: all
    own: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        mistakes = {
            name: problem
            for name in SETTINGS
            if (problem := check_setting(name, getattr(self, name))) is not None
        }
        mistakes = mistakes or self._misfits()
        if mistakes:
            raise SettingError(mistakes)
        object.__setattr__(self, "own", MappingProxyType(dict(self.own)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, ({**self.settings(), "own": dict(self.own)},))

    def settings(self) -> dict[str, Any]:
        """Every setting by name, own ones among them."""
        return {name: getattr(self, name) for name in SETTINGS} | dict(self.own)

    def _misfits(self) -> dict[str, str]:
        """Settings that are fine alone, but not together."""
        mistakes: dict[str, str] = {}
        model = MODELS.get(self.model)
        if model is not None and not model.spatial:
            spatial = ", ".join(name for name, known in MODELS.items() if known.spatial)
            if NORMS[self.norm].spatial:
                mistakes["norm"] = (
                    f"{self.norm!r} needs a model with pixels ({spatial}), but got {self.model!r}"
                )
            if self.dropout > 0 and DROPOUTS[self.dropout_kind].spatial:
                mistakes["dropout_kind"] = (
                    f"{self.dropout_kind!r} needs a model with pixels ({spatial}), but got {self.model!r}"
                )
        if self.validation_fraction + self.test_fraction >= 1:
            mistakes["test_fraction"] = (
                f"validation_fraction {self.validation_fraction} and test_fraction "
                f"{self.test_fraction} leave nothing to train on"
            )
        if self.head_learning_rate is not None and self.checkpoint is None:
            mistakes["head_learning_rate"] = "is for fine-tuning and needs a checkpoint to start from"
        if self.warmup_epochs > self.epochs:
            mistakes["warmup_epochs"] = (
                f"{self.warmup_epochs} epochs of warm-up do not fit into {self.epochs} epochs"
            )
        return mistakes


def config_from(settings: Mapping[str, Any]) -> TrialConfig:
    """A `TrialConfig` from flat settings; names it does not know become `own` settings.

    Raises: SettingError for a name it does not know when no own code is there to read it.
    """
    known = {name: value for name, value in settings.items() if name in SETTINGS}
    own = {name: value for name, value in settings.items() if name not in SETTINGS}
    if own and not uses_own_code(settings):
        raise SettingError({name: unknown_setting(name) for name in own})
    return TrialConfig(**known, own=own)


def check_setting(name: str, value: object) -> str | None:
    """What is wrong with this value of the setting `name`, or None."""
    check: Check | None = SETTINGS[name].metadata.get("check")
    return check(value) if check else None


def unknown_setting(name: str) -> str:
    """What to say about a setting that is not known."""
    return "no such setting; " + choices(name, SETTINGS)


def uses_own_code(settings: Mapping[str, Any]) -> bool:
    """Whether the model or the data of these settings come from own code."""
    return any(is_own_code(settings.get(name)) for name in ("model", "data"))


def default_of(name: str) -> Any:
    """The default of a setting."""
    default = SETTINGS[name].default
    return None if default is MISSING else default


def is_continuous(name: str) -> bool:
    """Whether a setting takes any number, not only whole ones; False for settings of own code."""
    return name in SETTINGS and str(SETTINGS[name].type).startswith("float")


def _bounds(low: float, high: float, above: float, below: float) -> str:
    parts = [f"of at least {low:g}"] if low > -math.inf else []
    parts += [f"above {above:g}"] if above > -math.inf else []
    parts += [f"of at most {high:g}"] if high < math.inf else []
    parts += [f"below {below:g}"] if below < math.inf else []
    return " and ".join(parts)


def _rebuild(values: dict[str, Any]) -> TrialConfig:
    return TrialConfig(**{k: v for k, v in values.items() if k in SETTINGS}, own=values["own"])


SETTINGS: Mapping[str, Field[Any]] = MappingProxyType(
    {entry.name: entry for entry in fields(TrialConfig) if entry.name != "own"}
)
"""Every setting by name."""
