"""A study file and its checks: every mistake is reported at once, with its place and the names nearby."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from searcher.constraints import Constraint, parse_constraints
from searcher.dispatch import STRICT, Dispatch
from searcher.errors import Mistake, SpecError
from searcher.mistakes import mistake_of
from searcher.toml_lines import lines_of
from trainers.choices import unknown

Scalar = str | bool | int | float
Changes = Mapping[str, Mapping[str, Any]]
Goal = Literal["minimize", "maximize"]
Conditions = dict[str, list[Scalar]]


class _Strict(BaseModel):
    model_config = STRICT


class Range(_Strict):
    """Numbers from `low` to `high`, both included; whole ones when both are whole."""

    low: float | int
    high: float | int
    log: bool = False
    step: float | int | None = None
    when: Conditions = {}

    @model_validator(mode="after")
    def _bounds_fit(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log range has to start above 0, but low is {self.low}")
        if self.log and self.step is not None:
            raise ValueError("a log range cannot have a step; leave out one of the two")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"a step has to be above 0, but is {self.step}")
        return self

    @property
    def examples(self) -> list[Scalar]:
        """Values a check can try: both ends."""
        return [self.low, self.high]


class Choices(_Strict):
    """One of the listed values."""

    choices: list[Scalar]
    when: Conditions = {}

    @model_validator(mode="after")
    def _some_and_distinct(self) -> Choices:
        if not self.choices:
            raise ValueError("the list of choices is empty; name at least one")
        if len({(type(value), value) for value in self.choices}) < len(self.choices):
            raise ValueError(f"the choices repeat themselves: {self.choices}")
        return self

    @property
    def examples(self) -> list[Scalar]:
        """Values a check can try: all of them."""
        return self.choices


def _read_setting(raw: object) -> object:
    if isinstance(raw, list):
        return Choices(choices=raw)
    if not isinstance(raw, Mapping):
        raise ValueError(f"needs a range {{ low = ..., high = ... }} or a list of choices, but got {raw!r}")
    table = dict(raw)
    when = table.get("when", {})
    if isinstance(when, Mapping):
        table["when"] = {name: v if isinstance(v, list) else [v] for name, v in when.items()}
    return (Choices if "choices" in table else Range).model_validate(table)


Setting = Annotated[Range | Choices, BeforeValidator(_read_setting)]


def _named(raw: object) -> object:
    return {"name": raw} if isinstance(raw, str) else raw


class Named(BaseModel):
    """A part by its name, with its options: `"tpe"` or `{ name = "tpe", n_startup_trials = 20 }`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


Part = Annotated[Named, BeforeValidator(_named)]


class Objective(_Strict):
    """A number that counts: a metric, or what else is known of a trial."""

    name: str
    goal: Goal = "minimize"

    @property
    def sign(self) -> float:
        """What makes lower values the better ones."""
        return -1.0 if self.goal == "maximize" else 1.0

    def is_better(self, value: float, other: float | None) -> bool:
        """Whether `value` beats `other`; anything beats nothing."""
        if other is None:
            return True
        return value > other if self.goal == "maximize" else value < other


class Metric(Objective):
    """What the search is for."""

    name: str = "val_loss"
    of: Literal["best", "last"] = "best"  # evaluation whose value counts


def _parsed(texts: list[str]) -> list[str]:
    return [str(constraint) for constraint in parse_constraints(texts)]


class Search(_Strict):
    """How points are chosen, and when to stop: the first budget reached ends the study."""

    sampler: Part = Named(name="auto")
    pruner: Part = Named(name="asha")
    start: Literal["defaults", "anywhere"] = "defaults"  # where the first trials of a sampler that learns lie
    guided: bool = True  # whether gp goes by the best trials and by where trials died
    non_starters: Literal["stop", "train"] = "stop"  # trials that do not begin to learn when good ones have
    past_best: Literal["stop", "train"] = "stop"  # trainings that get no better for longer than good ones did
    seed: int = Field(default=0, ge=0)
    trials: int | None = Field(default=None, ge=1)
    hours: float | None = Field(default=None, gt=0)
    device_hours: float | None = Field(default=None, gt=0)
    retries: int = Field(default=1, ge=0)  # of a trial whose worker died
    warm_start: list[str] = []  # recorded studies whose trials guide the sampler
    audit: float = Field(default=0.05, ge=0, le=1)  # share of the stops that are not carried out
    constraints: Annotated[list[str], AfterValidator(_parsed)] = []  # what a trial has to keep
    confirm: int = Field(default=0, ge=0)  # other seeds that the leading trials are trained again with
    extend: float = Field(default=1.0, ge=1, le=10)  # times its epochs that a promising trial may get

    @model_validator(mode="after")
    def _has_a_budget(self) -> Search:
        if self.trials is None and self.hours is None and self.device_hours is None:
            raise ValueError("has no budget; give at least one of trials, hours, device_hours")
        return self

    @property
    def budget(self) -> list[float | None]:
        """When the search ends: trials, hours, device hours."""
        return [self.trials, self.hours, self.device_hours]

    @property
    def limits(self) -> list[Constraint]:
        """The constraints, read."""
        return parse_constraints(self.constraints)


FURTHER = "further"
"""What the second and later tables of `[[metric]]` become."""


class StudySpec(_Strict):
    """A study file, structurally sound. `check` in `searcher.checks` looks at what the names mean.

    `metric` is the first objective, whose evaluation counts; `further` are the others, if there are any.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    question: str = ""
    enqueue: list[dict[str, Any]] = []  # points that are tried first
    train: dict[str, Any] = {}
    metric: Metric = Metric()
    further: tuple[Objective, ...] = ()
    space: dict[str, Setting] = Field(min_length=1)
    search: Search
    dispatch: Dispatch = Dispatch()

    @model_validator(mode="before")
    @classmethod
    def _several_metrics(cls, raw: Any) -> Any:
        """`[[metric]]` is `[metric]` with more of the kind."""
        if isinstance(raw, Mapping) and FURTHER in raw:
            raise ValueError(unknown(FURTHER, _known_keys([])))
        if not isinstance(raw, Mapping) or not isinstance(raw.get("metric"), list):
            return raw
        first, *others = raw["metric"] or [None]
        return {**raw, "metric": first, FURTHER: tuple(others)}

    @model_serializer(mode="wrap")
    def _as_in_the_file(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = plain(self)
        further = data.pop(FURTHER, ())
        return {**data, "metric": [data["metric"], *further]} if further else data

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """All objectives, the first one first."""
        return self.metric, *self.further

    @property
    def is_several(self) -> bool:
        """Whether there is more than one objective."""
        return bool(self.further)

    def place_of(self, metric: Objective) -> str:
        """Where an objective stands in the study file."""
        return f"metric.{self.metrics.index(metric)}" if self.is_several else "metric"

    @property
    def trainer(self) -> str | None:
        """Own trainer as `package.module:function`, or None for the one that comes along."""
        trainer = self.train.get("trainer")
        return None if trainer is None else str(trainer)

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings every trial shares."""
        return {name: value for name, value in self.train.items() if name != "trainer"}


def read_spec(path: Path, changes: Changes | None = None) -> StudySpec:
    """The study file at `path`, with `changes` (section -> setting -> value) laid over it.

    Raises: SpecError with every mistake in the file's structure.
    """
    text, raw = read_toml(path, changes or {})
    return parse_spec(raw, str(path), text)


def parse_spec(raw: Mapping[str, Any], source: str, text: str = "") -> StudySpec:
    """A study from plain data. `source` and `text` are for the places in errors."""
    try:
        return StudySpec.model_validate(dict(raw))
    except ValidationError as error:
        lines = lines_of(text)
        errors = [{**entry, "loc": _in_file(entry["loc"], raw)} for entry in error.errors()]
        mistakes = dict.fromkeys(mistake_of(entry, lines, _known_keys) for entry in errors)
        raise SpecError(source, list(mistakes)) from None


def read_toml(path: Path, changes: Changes) -> tuple[str, dict[str, Any]]:
    """The text of a study file and its data, with `changes` laid over them. Raises: SpecError."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(str(path), [Mistake("file", f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(str(path), [Mistake("file", f"is not valid TOML: {error}")]) from None
    for section, values in changes.items():
        if not section:
            raw.update(values)
        elif isinstance(before := raw.get(section, {}), Mapping):  # else it is a mistake that is told later
            raw[section] = {**before, **values}
    return text, raw


def _known_keys(parents: list[str]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {"metric": Metric, "search": Search, "dispatch": Dispatch}
    if not parents:
        return [name for name in StudySpec.model_fields if name != FURTHER]
    is_further = parents[0] == "metric" and parents[1:] not in ([], ["0"])
    return list((Objective if is_further else sections.get(parents[0], Range)).model_fields)


def _in_file(location: tuple[Any, ...], raw: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where it stands in the file: the tables of `[[metric]]` are counted."""
    first, *rest = location or ("",)
    if first == FURTHER and FURTHER not in raw:
        return "metric", int(rest[0]) + 1, *rest[1:]
    return ("metric", 0, *rest) if first == "metric" and isinstance(raw.get("metric"), list) else location
