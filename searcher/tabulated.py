"""A study of a table of recorded trainings: whether the two fit, and which training a point stands for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from searcher.identity import MACHINE
from searcher.spec import Choices, Range, StudySpec
from trainers.choices import choices, unknown
from trainers.errors import DataError, SettingError
from trainers.tabulated import Configuration, Table, is_replay, table_of

SHOWN = 10
"""Values of a column that a sentence names."""


def table_for(spec: StudySpec) -> Table:
    """The table of a study that replays one. Raises: DataError."""
    assert spec.trainer is not None
    data_dir = spec.fixed.get("data_dir")
    return table_of(spec.trainer, None if data_dir is None else str(data_dir))


def nearest(spec: StudySpec, sampled: Mapping[str, Any]) -> Configuration:
    """The configuration of the study's table that is nearest to a point.

    Choices and fixed settings are the same, a setting that is switched off has an empty cell. Ranges are
    brought to 0 to 1, on their log scale where they have one, and the Euclidean distance counts; of equals
    the first. Raises: SettingError when no configuration has these choices; DataError.
    """
    table = table_for(spec)
    distances = [_distance(one, spec, sampled) for one in table.configurations]
    place = min(range(len(distances)), key=distances.__getitem__)
    if distances[place] < math.inf:
        return table.configurations[place]
    exact = {name: value for name, value in sampled.items() if isinstance(spec.space[name], Choices)}
    point = ", ".join(f"{name} = {value}" for name, value in exact.items())
    off = [name for name in spec.space if name not in sampled]
    without = f" without {', '.join(off)}" if off else ""
    raise SettingError(
        {
            next(iter(exact or spec.space)): f"{table.file} has no configuration with {point or 'values'}"
            f"{without} inside of the space"
        }
    )


def table_notes(spec: StudySpec) -> tuple[str, ...]:
    """What a person should know of a study that replays a table. Raises: DataError."""
    if not is_replay(spec.trainer):
        return ()
    table = table_for(spec)
    missing = [name for name in spec.fixed if name not in table.settings and name not in MACHINE]
    count = len(table.configurations)
    notes = [f"nothing is trained: {count} configurations of {table.file} are replayed"]
    if missing:
        notes.append(f"the table has no columns {', '.join(missing)}: they are not looked at")
    return tuple(notes)


def table_mistakes(spec: StudySpec) -> Iterator[tuple[str, str]]:
    """Where a study and its table do not fit: place and what is wrong."""
    try:
        table = table_for(spec)
    except DataError as error:
        yield "train.trainer", str(error)
        return
    for name in spec.space:
        if name not in table.settings:
            yield f"space.{name}", f"the table has no such setting; {choices(name, table.settings)}"
            continue
        yield from _mistakes_of_setting(spec, table, name)
    for name in table.settings:
        cells = _cells(table, name)
        if name in spec.fixed and not any(_same(spec.fixed[name], cell) for cell in cells):
            yield f"train.{name}", f"{spec.fixed[name]!r} is in no row of the table; {_listed(cells)}"
        elif name not in spec.fixed and name not in spec.space and len(cells) > 1:
            yield (
                "train.trainer",
                f"the table has several values of {name}; search it, or fix one: {_listed(cells)}",
            )
    for metric in spec.metrics:
        if metric.name not in table.metrics:
            yield f"{spec.place_of(metric)}.name", unknown(metric.name, table.metrics)


def _mistakes_of_setting(spec: StudySpec, table: Table, name: str) -> Iterator[tuple[str, str]]:
    setting, cells = spec.space[name], _cells(table, name)
    if isinstance(setting, Choices):
        for value in (v for v in setting.choices if not any(_same(v, cell) for cell in cells)):
            yield f"space.{name}", f"{value!r} is in no row of the table; {_listed(cells)}"
    elif not any(_place(setting, cell) is not None for cell in cells):
        yield f"space.{name}", f"no row of the table lies inside; {_listed(cells)}"


def _distance(one: Configuration, spec: StudySpec, sampled: Mapping[str, Any]) -> float:
    """Squared, and infinite where it cannot be compared."""
    total = 0.0
    for name, cell in one.settings.items():
        setting = spec.space.get(name)
        if setting is None:
            fits = name not in spec.fixed or _same(spec.fixed[name], cell)
        elif name not in sampled:
            fits = not cell
        elif isinstance(setting, Choices):
            fits = _same(sampled[name], cell)
        else:
            there, here = _place(setting, cell), _place(setting, sampled[name])
            fits = there is not None and here is not None
            total += (there - here) ** 2 if there is not None and here is not None else 0.0
        if not fits:
            return math.inf
    return round(total, 14)  # what differs by the last digits alone is a tie


def _place(setting: Range, value: Any) -> float | None:
    """Where a value lies in a range, 0 to 1; None outside of it."""
    try:
        number = float(value)
    except ValueError:
        return None
    if not setting.low <= number <= setting.high:
        return None
    if setting.low == setting.high:
        return 0.0
    if setting.log:
        return math.log(number / setting.low) / math.log(setting.high / setting.low)
    return (number - setting.low) / (setting.high - setting.low)


def _same(value: Any, cell: str) -> bool:
    """Whether a cell says this value."""
    if isinstance(value, bool):
        return cell.lower() == str(value).lower()
    if not isinstance(value, int | float):
        return bool(cell == str(value))
    try:
        return float(cell) == value
    except ValueError:
        return False


def _cells(table: Table, name: str) -> list[str]:
    """What a column says, each once."""
    return list(dict.fromkeys(one.settings[name] for one in table.configurations))


def _listed(cells: list[str]) -> str:
    shown = ", ".join(cell or "(empty)" for cell in cells[:SHOWN])
    return f"there are: {shown}" + (", ..." if len(cells) > SHOWN else "")
