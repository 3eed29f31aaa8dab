"""A study file and its checks: every mistake is reported at once, with its place and the names nearby."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from searcher.constraints import Constraint, parse_constraints
from searcher.dispatch import STRICT, Dispatch
from searcher.errors import Mistake, SpecError
from searcher.toml_lines import line_of, lines_of
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


class Metric(_Strict):
    """What the search is for."""

    name: str = "val_loss"
    goal: Goal = "minimize"
    of: Literal["best", "last"] = "best"  # evaluation whose value counts

    def is_better(self, value: float, other: float | None) -> bool:
        """Whether `value` beats `other`; anything beats nothing."""
        if other is None:
            return True
        return value > other if self.goal == "maximize" else value < other


def _parsed(texts: list[str]) -> list[str]:
    return [str(constraint) for constraint in parse_constraints(texts)]


class Search(_Strict):
    """How points are chosen, and when to stop: the first budget reached ends the study."""

    sampler: Part = Named(name="tpe")
    pruner: Part = Named(name="asha")
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


class StudySpec(_Strict):
    """A study file, structurally sound. `check` in `searcher.checks` looks at what the names mean."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    question: str = ""
    enqueue: list[dict[str, Any]] = []  # points that are tried first
    train: dict[str, Any] = {}
    metric: Metric = Metric()
    space: dict[str, Setting] = Field(min_length=1)
    search: Search
    dispatch: Dispatch = Dispatch()

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
    text, raw = _read_toml(path, changes or {})
    return parse_spec(raw, str(path), text)


def salvage(path: Path, changes: Changes, mistakes: Sequence[Mistake]) -> StudySpec | None:
    """What the study file at `path` is without the entries that are `mistakes`, so that the rest can be
    looked at as well; None when too little is left."""
    _, raw = _read_toml(path, changes)
    gone = {mistake.place.partition(".")[::2] for mistake in mistakes}
    for section, rest in gone:
        part, name = raw.get(section), rest.partition(".")[0]
        if isinstance(part, dict) and name and section != "metric":
            part.pop(name, None)
        else:
            raw.pop(section, None)
    space = raw.get("space") or {"seed": [0]}
    lost = {rest.partition(".")[0] for section, rest in gone if section == "space"}
    listed = raw.pop("enqueue", []) if raw.get("space") else []
    points = [{name: value for name, value in point.items() if name not in lost} for point in listed]
    for setting in space.values():
        if isinstance(setting, dict) and lost & set(setting.get("when", {})):
            setting.pop("when")  # it waits for a setting that is a mistake itself
    search = {"trials": 1, **raw.get("search", {})}
    try:
        whole = {"name": "nameless", **raw, "space": space, "search": search, "enqueue": points}
        return StudySpec.model_validate(whole)
    except ValidationError:
        return None


def parse_spec(raw: Mapping[str, Any], source: str, text: str = "") -> StudySpec:
    """A study from plain data. `source` and `text` are for the places in errors."""
    try:
        return StudySpec.model_validate(dict(raw))
    except ValidationError as error:
        lines = lines_of(text)
        mistakes = dict.fromkeys(_mistake(entry, lines) for entry in error.errors())
        raise SpecError(source, list(mistakes)) from None


def _read_toml(path: Path, changes: Changes) -> tuple[str, dict[str, Any]]:
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


_SCALARS = ("str", "bool", "int", "float")
_NUMBERS = ("low", "high", "step")
_NEEDS = {
    "model_type": "a table, or for a sampler or pruner its name",
    "dict_type": "a table",
    "string_pattern_mismatch": "letters, digits, dots, dashes or underscores, a letter or digit first",
}


def _mistake(error: Any, lines: Mapping[str, int]) -> Mistake:
    parts = [
        str(part) for part in error["loc"] if not str(part).startswith(("function-", "Range", "Choices"))
    ]
    kind, got = error["type"], error.get("input")
    is_scalar = len(parts) > 3 and parts[-1] in _SCALARS  # one of several types it could have had
    parts = parts[:-1] if is_scalar else parts
    place = ".".join(parts) or "study"
    line = line_of(place, lines)
    if is_scalar:
        what = "a finite number" if parts[-1] in _NUMBERS else "a text, a finite number, true or false"
        message = f"needs {what}, but got {got!r}"
    elif kind in _NEEDS:
        message = f"needs {_NEEDS[kind]}, but got {got!r}"
    elif kind == "missing":
        message = "is missing"
    elif kind == "extra_forbidden":
        message = unknown(parts[-1], _known_keys(parts[:-1]))
    elif kind == "value_error":
        message = str(error["ctx"]["error"])
    else:
        message = f"{error['msg'][0].lower()}{error['msg'][1:]}, but got {got!r}"
    return Mistake(place, message, line)


def _known_keys(parents: list[str]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {"metric": Metric, "search": Search, "dispatch": Dispatch}
    if not parents:
        return list(StudySpec.model_fields)
    return list(sections.get(parents[0], Range).model_fields)
