"""Reports as people read them, and as data that comes back."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from diagnostics import RULES, Finding, Report, Severity, Signals, Verdict, diagnose
from diagnostics.report import from_dict, to_dict, to_markdown, to_text

LAYERS = tuple(f"hidden{i}.linear.weight" for i in range(9))


def some_report(rng: np.random.Generator) -> Report:
    words = " ".join(str(word) for word in rng.choice(["step", "layer", "gradient", "weight"], size=40))
    last = Finding("plateau", Severity.INFO, 9, {"slope": -1e-9}, words, "wait")
    inner = Finding(
        "not-learning", Severity.FATAL, 7, {"loss": 2.3, "best": math.inf}, words, words, (), (last,)
    )
    outer = Finding("dead-units", Severity.FATAL, 3, {"share": rng.random()}, words, words, LAYERS, (inner,))
    lone = Finding("loss-spike", Severity.INFO, 50, {}, "it jumped", "nothing to do")
    no_pairs = "needs 8 rows of 'grad_dot' (there are 0) and 8 rows of 'grad_square' (there are 0)"
    missing = {
        "noisy-gradients": no_pairs,
        "batch-too-large": no_pairs,
        "overfitting": "needs 6 rows of 'val_loss' (there are 2)",
    }
    statistics = {"steps": 60.0, "loss_last": rng.random(), "odd": math.nan}
    return Report(Verdict.NOT_LEARNING, (outer, lone), statistics, missing, {"broken": "ValueError: no"})


def test_text_fits_a_terminal_and_shows_what_follows_below_its_cause() -> None:
    lines = to_text(some_report(np.random.default_rng())).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert lines[0].startswith("verdict: not-learning: ")
    at = {line.strip().split(" at step")[0]: i for i, line in enumerate(lines) if " at step " in line}
    assert at["fatal: dead-units"] < at["fatal: not-learning"] < at["info: plateau"] < at["info: loss-spike"]
    indent = {name: len(lines[i]) - len(lines[i].lstrip()) for name, i in at.items()}
    assert indent["fatal: dead-units"] == indent["info: loss-spike"] == 0
    assert 0 < indent["fatal: not-learning"] < indent["info: plateau"]


def test_text_holds_every_word_of_a_finding() -> None:
    report = some_report(np.random.default_rng())
    flat = " ".join(to_text(report).split())
    assert report.findings[0].cause in flat
    assert report.findings[0].remedy in flat
    assert "hidden3.linear.weight and 5 more" in flat
    assert "share " in flat
    assert "rule broken: broken: ValueError: no" in flat
    assert "batch-too-large (no grad_dot, grad_square); overfitting (too little val_loss)" in flat


def test_a_name_and_its_number_stay_on_one_line() -> None:
    evidence = {f"a_rather_long_name_{i}": float(i) for i in range(30)}
    report = Report(Verdict.CONVERGED, (Finding("x", Severity.INFO, 0, evidence, "c", "r"),))
    text = to_text(report)
    assert all(f"a_rather_long_name_{i} {i}" in text for i in range(30))


@pytest.mark.parametrize("width", [40, 60, 120])
def test_other_widths_are_kept_as_well(width: int) -> None:
    lines = to_text(some_report(np.random.default_rng()), width).splitlines()
    assert max(len(line) for line in lines) <= width


def test_markdown_nests_consequences_as_lists() -> None:
    text = to_markdown(some_report(np.random.default_rng()))
    assert text.startswith("**not-learning**: ")
    assert "\n- **dead-units** (fatal, step 3 in hidden0.linear.weight" in text
    assert "\n  - **not-learning** (fatal, step 7)" in text
    assert "\n    - **plateau** (info, step 9)" in text
    assert "*Not judged:* noisy-gradients, batch-too-large (no grad_dot, grad_square)" in text


def test_a_report_comes_back_from_json_with_its_consequences() -> None:
    report = some_report(np.random.default_rng())
    again = from_dict(json.loads(json.dumps(to_dict(report), allow_nan=False)))
    assert again.findings == report.findings
    assert math.isnan(again.statistics["odd"])
    assert to_text(again) == to_text(report)


def test_reports_from_before_consequences_are_still_read() -> None:
    data = to_dict(some_report(np.random.default_rng()))
    for finding in data["findings"]:
        del finding["consequences"]
    assert [finding.consequences for finding in from_dict(data).findings] == [(), ()]


def test_real_reports_of_random_curves_fit_the_terminal() -> None:
    for _ in range(5):
        rng = np.random.default_rng()
        loss = np.abs(np.cumsum(rng.normal(size=300))) * 10.0 ** rng.integers(-6, 6)
        text = to_text(diagnose(Signals.of({"loss": (range(300), loss)}), {"ended": "finished"}))
        assert max(len(line) for line in text.splitlines()) <= 80


def test_the_documents_tell_of_every_finding_and_verdict() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "diagnoses.md").read_text(encoding="utf-8")
    told = re.findall(r"^### `(.+)`$", text, re.MULTILINE)
    assert sorted(told) == sorted(rule.name for rule in RULES)
    assert [verdict for verdict in Verdict if f"`{verdict}`" not in text] == []


def test_the_documents_name_every_signal_a_rule_needs() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "signals.md").read_text(encoding="utf-8")
    assert [name for rule in RULES for name in rule.needs if f"`{name}`" not in text] == []


def lacking(missing: dict[str, str]) -> str:
    text = to_text(Report(Verdict.CONVERGED, (), {}, missing))
    return " ".join(text.partition("not judged: ")[2].split())


def test_rules_that_need_a_monitor_are_counted_where_there_was_none() -> None:
    said = lacking(dict(diagnose(Signals.of({"loss": (range(100), np.ones(100))})).not_run))
    assert said.startswith("14 rules need a Monitor in the loop (see docs/own-code.md)") and len(said) < 120


def test_rules_about_parts_a_monitored_model_lacks_are_left_out() -> None:
    rotation = "needs 2 rows of 'rotation' (there are 0) and 2 rows of 'loss' (there are 9)"
    missing = {"norm-masks-init": rotation, "saturated": "needs 3 rows of 'slope_share' (there are 0)"}
    assert lacking(missing) == ""
    assert "*Not judged" not in to_markdown(Report(Verdict.CONVERGED, (), {}, missing))
    assert to_dict(Report(Verdict.CONVERGED, (), {}, missing))["not_run"] == missing
    early = {f"rule-{i}": f"needs {i + 3} rows of 'x{i % 2}' (there are 2)" for i in range(7)}
    assert lacking({**missing, **early}) == "rule-0, rule-1, rule-2, rule-3 and 3 more (too few rows)"


def test_infinite_limits_are_not_shown() -> None:
    evidence = {"slope": 0.5, "slope_low": -math.inf, "slope_high": math.inf, "loss_now": math.inf}
    report = Report(Verdict.CONVERGED, (Finding("x", Severity.INFO, 0, evidence, "c", "r"),))
    text = to_text(report) + to_markdown(report)
    assert "slope_low" not in text and "slope_high" not in text and "loss_now inf" in text
    assert "slope_low" in to_dict(report)["findings"][0]["evidence"]


def test_steps_can_be_called_what_they_are() -> None:
    finding = Finding("x", Severity.INFO, 4, {"steps": 2.0, "first_step": 3.0}, "a step of 1 steps", "r")
    text = to_text(Report(Verdict.INCOMPLETE, (finding,), {"steps": 1.0}), unit="epoch")
    assert "after 1 epoch too" in text and "info: x at epoch 4" in text
    assert "an epoch of 1 epoch" in text and "first_step 3" in text
