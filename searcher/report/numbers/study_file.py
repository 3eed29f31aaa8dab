"""A study as the text of its file, with comments that say why."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from searcher.report.numbers.scales import number_text
from searcher.spec import Choices, Named, Range, StudySpec

WIDTH = 100
"""Columns of a comment."""

SAID = ("seed",)
"""Settings that are said even where they are as they would be anyway: a reader asks for them."""

Comments = Mapping[str, str]
"""Place (`space.learning_rate`, `space`, or an empty text for the head) -> what to say there."""


def study_file(spec: StudySpec, comments: Comments | None = None) -> str:
    """The text of a study file that says what `spec` is; `searcher run` accepts it."""
    said = comments or {}
    lines = [*_comment(said.get("", "")), f"name = {toml_value(spec.name)}"]
    if spec.question:
        lines.append(f"question = {toml_value(spec.question)}")
    space = {name: _setting(setting) for name, setting in spec.space.items()}
    sections: dict[str, Mapping[str, Any]] = {
        "train": spec.train,
        "metric": {} if spec.is_several else spec.metric.model_dump(exclude_defaults=True),
        "space": space,
        "search": _set(spec.search),
        "dispatch": _set(spec.dispatch),
    }
    for section, values in sections.items():
        if section == "metric" and spec.is_several:
            lines += [line for metric in spec.metrics for line in _entry("metric", metric.model_dump())]
        if not values:
            continue
        lines += ["", f"[{section}]", *_comment(said.get(section, ""))]
        for name, value in values.items():
            lines += _comment(said.get(f"{section}.{name}", ""))
            lines.append(f"{_key(name)} = {toml_value(value)}")
    for point in spec.enqueue:
        lines += _entry("enqueue", point)
    return "\n".join(lines) + "\n"


def _entry(section: str, values: Mapping[str, Any]) -> list[str]:
    """One table of a list of them."""
    lines = [f"{_key(name)} = {toml_value(value)}" for name, value in values.items()]
    return ["", f"[[{section}]]", *lines]


def toml_value(value: Any) -> str:
    """A value as TOML has it, tables in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the rest is JSON's as well
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(str(k))} = {toml_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return repr(value) if isinstance(value, int | float) else str(value)


def in_words(setting: Range | Choices) -> str:
    """A range or choices as people write them: `0.0001 to 1, log`, or `16, 32, 64`."""
    if isinstance(setting, Choices):
        return ", ".join(c if isinstance(c, str) else toml_value(c) for c in setting.choices)
    step = f", step {number_text(setting.step)}" if setting.step is not None else ""
    log = ", log" if setting.log else ""
    return f"{number_text(setting.low)} to {number_text(setting.high)}{step}{log}"


def _setting(setting: Range | Choices) -> Any:
    if isinstance(setting, Choices) and not setting.when:
        return list(setting.choices)
    return setting.model_dump(exclude_defaults=True)


def _set(section: BaseModel) -> dict[str, Any]:
    """What is not as it would be anyway; a part without options by its name alone."""
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Named):
            values[name] = {"name": value.name, **value.options} if value.options else value.name
        elif value is not None and (value != field.default or name in SAID):
            values[name] = value
    return values


def _key(name: str) -> str:
    is_bare = name and all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in name)
    return name if is_bare else toml_value(name)


def _comment(text: str) -> list[str]:
    return [
        f"# {line}"
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    ]
