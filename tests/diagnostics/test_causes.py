"""Cause before symptom: what is shown first, what goes under it, and that nothing is lost."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from diagnostics.causes import EXPLAINS, RANK, attach, flatten
from diagnostics.findings import Finding, Severity

INFO, WARNING, FATAL = Severity


def finding(kind: str, severity: Severity = WARNING, step: int = 0) -> Finding:
    return Finding(kind, severity, step, {}, "", "")


def kinds(*findings: Finding) -> list[tuple[str, list[str]]]:
    return [(f.kind, [c.kind for c in f.consequences]) for f in attach(findings)]


def test_the_table_has_no_circles() -> None:
    left = {kind: set(follows) & set(EXPLAINS) for kind, follows in EXPLAINS.items()}
    while left:
        ends = [kind for kind, follows in left.items() if not follows & set(left)]
        assert ends, f"a circle among {sorted(left)}"
        for kind in ends:
            del left[kind]


def test_the_most_upstream_cause_is_named_and_becomes_as_grave_as_what_follows() -> None:
    (cause,) = attach(
        [
            finding("non-finite", FATAL, 40),
            finding("diverging", FATAL, 20),
            finding("exploding-gradients", WARNING, 15),
            finding("learning-rate-too-high", WARNING, 2),
        ]
    )
    assert (cause.kind, cause.severity, cause.step) == ("learning-rate-too-high", FATAL, 2)
    assert [c.kind for c in cause.consequences] == ["diverging", "non-finite", "exploding-gradients"]


COMPETING = (
    ("data-fault", "head-mismatch"),
    ("head-mismatch", "gradients-accumulate"),
    ("gradients-accumulate", "learning-rate-too-high"),
    ("unscaled-inputs", "bad-init-scale"),
    ("unoptimized-parameters", "symmetric-units"),
    ("symmetric-units", "bad-init-scale"),
    ("bad-init-scale", "learning-rate-too-high"),
    ("learning-rate-too-high", "dead-units"),
    ("over-regularized", "learning-rate-too-high"),
    ("saturated-activations", "vanishing-gradients"),
    ("vanishing-gradients", "constant-predictions"),
)


@pytest.mark.parametrize(("upstream", "downstream"), COMPETING)
def test_of_two_causes_the_one_upstream_wins(upstream: str, downstream: str) -> None:
    for order in ((upstream, downstream), (downstream, upstream)):
        found = attach([finding(order[0]), finding("not-learning", FATAL), finding(order[1])])
        assert found[0].kind == upstream
        assert found[0].severity is FATAL
        assert "not-learning" in [c.kind for c in found[0].consequences]


def test_a_remark_is_the_cause_only_where_nothing_graver_is() -> None:
    fatal = finding("not-learning", FATAL)
    low, dead = finding("learning-rate-too-low", WARNING), finding("dead-units", INFO)
    assert kinds(fatal, low, dead) == [("learning-rate-too-low", ["not-learning"]), ("dead-units", [])]
    stuck = finding("plateau", WARNING)
    assert kinds(stuck, dead) == [("dead-units", ["plateau"])]
    assert attach([stuck, dead])[0].severity is WARNING
    assert kinds(low, dead) == [("learning-rate-too-low", []), ("dead-units", [])]


def test_a_remark_does_not_become_fatal_but_is_named_as_the_likely_cause() -> None:
    fatal, dead = finding("not-learning", FATAL), finding("dead-units", INFO, 7)
    first, second = attach([dead, fatal])
    assert (first.kind, first.severity, first.consequences) == ("not-learning", FATAL, ())
    assert first.cause == "likely because of dead-units (step 7)"
    assert (second.kind, second.severity) == ("dead-units", WARNING)


def test_what_is_grave_stands_before_the_remark_that_its_chain_ends_in() -> None:
    blind, fatal = finding("constant-predictions", WARNING), finding("not-learning", FATAL)
    inputs, dead = finding("unscaled-inputs", INFO), finding("dead-units", INFO)
    first, second = attach([fatal, dead, inputs, blind])
    assert (first.kind, first.severity) == ("constant-predictions", FATAL)
    assert [c.kind for c in first.consequences] == ["not-learning"]
    assert "likely because of unscaled-inputs" in first.cause
    assert (second.kind, second.severity) == ("unscaled-inputs", WARNING)
    assert [(c.kind, c.severity) for c in second.consequences] == [("dead-units", INFO)]


def test_a_remark_between_two_illnesses_passes_the_cause_on() -> None:
    grave, dead, fatal = finding("head-mismatch"), finding("dead-units", INFO), finding("not-learning", FATAL)
    (cause,) = attach([fatal, dead, grave])
    assert (cause.kind, cause.severity) == ("head-mismatch", FATAL)
    assert [c.kind for c in cause.consequences] == ["not-learning", "dead-units"]


def test_what_came_later_is_no_cause() -> None:
    late = finding("learning-rate-too-high", WARNING, 900)
    assert kinds(finding("diverging", FATAL, 100), late) == [
        ("diverging", []),
        ("learning-rate-too-high", []),
    ]
    soon = finding("learning-rate-too-high", WARNING, 110)  # seen in the next row that measures layers
    assert kinds(finding("diverging", FATAL, 100), soon) == [("learning-rate-too-high", ["diverging"])]


def test_chronic_outcomes_have_no_moment() -> None:
    found = kinds(finding("not-learning", FATAL, 0), finding("dead-units", WARNING, 900))
    assert found == [("dead-units", ["not-learning"])]


def test_strangers_stay_side_by_side_the_gravest_first() -> None:
    found = kinds(finding("overfitting"), finding("crashed", FATAL, 7), finding("loss-spike", INFO))
    assert found == [("crashed", []), ("overfitting", []), ("loss-spike", [])]
    assert attach([]) == ()


def test_nothing_is_lost_and_the_gravest_comes_first(rng: np.random.Generator) -> None:
    for _ in range(200):
        names = rng.choice([*RANK, "crashed", "overfitting"], int(rng.integers(0, 9)))
        found = [finding(str(name), Severity(int(rng.integers(3))), int(rng.integers(500))) for name in names]
        attached = attach(found)
        assert Counter((f.kind, f.step) for f in flatten(attached)) == Counter(
            (f.kind, f.step) for f in found
        )
        gravest = max((f.severity for f in found), default=None)
        assert not attached or attached[0].severity is gravest
        assert all(c.consequences == () for f in attached for c in f.consequences)


def test_the_order_they_come_in_does_not_matter(rng: np.random.Generator) -> None:
    for _ in range(50):
        names = rng.choice(list(RANK), 6, replace=False)
        found = [finding(str(name), Severity(int(rng.integers(3))), int(rng.integers(500))) for name in names]
        shuffled = [found[i] for i in rng.permutation(len(found))]
        assert attach(found) == attach(shuffled)
