"""A study as the text of its file."""

from __future__ import annotations

import tomllib

from searcher.report.numbers.study_file import study_file, toml_value
from searcher.spec import parse_spec


def test_a_study_file_says_again_what_it_was_read_from() -> None:
    raw = {
        "name": "odd",
        "question": 'Does "it"\nwork?\\',
        "train": {
            "trainer": "mine:train",
            "flag": True,
            "list": [1, 2.5, "a"],
            "table": {"a b": 1},
            "x": 1e-5,
        },
        "metric": {"name": "score", "goal": "maximize", "of": "last"},
        "space": {
            "a": {"low": 1, "high": 9, "step": 2},
            "b": {"choices": ["u", "v"], "when": {"c": [True]}},
            "c": [True, False],
        },
        "search": {"sampler": {"name": "tpe", "n_startup_trials": 4}, "trials": 3, "hours": 0.5},
        "dispatch": {"launcher": "inprocess", "slots": 2},
    }
    spec = parse_spec(raw, "odd.toml")
    text = study_file(spec, {"": "why\nso", "space.a": "long " * 60})
    assert parse_spec(tomllib.loads(text), "odd.toml") == spec
    assert text.startswith("# why\n# so\n") and max(map(len, text.splitlines())) <= 110
    assert toml_value("a\x7fb\n") == '"a\\u007fb\\n"'
