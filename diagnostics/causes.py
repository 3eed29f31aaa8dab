"""Cause before symptom: what follows from a finding is attached to it, and causes come first.

The table says which kinds may explain which; a person would read a line as "a data fault may be why the
training does not learn". It has no circles. House rule, put together from Goodfellow et al. (2016), Deep
Learning, chapters 8 and 11, and from the illnesses' own definitions in `diagnostics/rules/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from diagnostics.findings import Finding, Severity

POOR = ("not-learning", "plateau", "underfitting", "constant-predictions")
"""Outcomes of a training that does not get on."""

VIOLENT = ("non-finite", "diverging", "oscillating", "loss-spike", "exploding-gradients")
"""Outcomes of a training that moves too much."""

OUTCOMES = (*POOR, *VIOLENT)
"""What needs a cause: a remark may be it where nothing graver is found."""

LAMED = ("dead-units", "saturated-activations", "vanishing-gradients", "frozen-layers")
"""Layers that no longer take part."""

EXPLAINS: Mapping[str, tuple[str, ...]] = {
    # what goes in
    "data-fault": (
        *POOR,
        *VIOLENT,
        *("overfitting", "label-noise", "noisy-gradients", "vanishing-gradients", "head-mismatch"),
        *("learning-rate-too-high", "learning-rate-too-low", "bad-init-scale", "weight-blowup"),
    ),
    "unscaled-inputs": (
        *POOR,
        *VIOLENT,
        *LAMED,
        *("bad-init-scale", "learning-rate-too-high", "learning-rate-too-low", "clipping-dominates"),
        *("weight-blowup", "noisy-gradients", "symmetric-units"),
    ),
    # what is asked of the model
    "head-mismatch": (
        *POOR,
        *VIOLENT,
        *LAMED,
        *("bad-init-scale", "learning-rate-too-high", "learning-rate-too-low", "weight-blowup"),
        *("clipping-dominates", "overfitting"),
    ),
    # how the loop is wired
    "unoptimized-parameters": (
        *POOR,
        *("frozen-layers", "vanishing-gradients", "learning-rate-too-low", "norm-masks-init"),
    ),
    "gradients-accumulate": (
        *POOR,
        *VIOLENT,
        *LAMED,
        *("learning-rate-too-high", "clipping-dominates", "weight-blowup", "overfitting", "still-improving"),
    ),
    "mode-mismatch": (
        *POOR,
        *VIOLENT,
        *("overfitting", "dropout-too-high", "learning-rate-too-high", "bad-init-scale"),
    ),
    "frozen-layers": (*POOR, "learning-rate-too-low"),
    # where it starts
    "symmetric-units": (
        *POOR,
        *VIOLENT,
        *LAMED,
        *("bad-init-scale", "norm-masks-init", "learning-rate-too-high", "learning-rate-too-low"),
    ),
    "norm-masks-init": (*POOR, *LAMED, "bad-init-scale", "learning-rate-too-low", "still-improving"),
    "bad-init-scale": (
        *POOR,
        *VIOLENT,
        *LAMED,
        *("learning-rate-too-high", "learning-rate-too-low", "clipping-dominates", "weight-blowup"),
        "still-improving",
    ),
    # how far it steps
    "learning-rate-too-high": (
        *POOR,
        *VIOLENT,
        *LAMED,
        *("clipping-dominates", "weight-blowup", "noisy-gradients"),
    ),
    "learning-rate-too-low": (*POOR, "still-improving"),
    "clipping-dominates": (*POOR, "oscillating", "learning-rate-too-low", "still-improving"),
    # what holds it back
    "over-regularized": (
        *POOR,
        *LAMED,
        *("learning-rate-too-high", "learning-rate-too-low", "diverging", "non-finite", "oscillating"),
    ),
    "dropout-too-high": (*POOR, "noisy-gradients", "learning-rate-too-low", "dead-units", "oscillating"),
    "noisy-gradients": ("oscillating", "loss-spike", "plateau", "underfitting"),
    "batch-too-large": ("plateau", "underfitting"),
    "label-noise": ("overfitting", "plateau", "underfitting"),
    # what happens inside
    "exploding-gradients": (
        *("non-finite", "diverging", "oscillating", "loss-spike", "clipping-dominates", "weight-blowup"),
        *("dead-units", "saturated-activations", *POOR),
    ),
    "weight-blowup": ("non-finite", "diverging", "saturated-activations", *POOR),
    "saturated-activations": (*POOR, "vanishing-gradients", "frozen-layers", "learning-rate-too-low"),
    "dead-units": (*POOR, "vanishing-gradients", "frozen-layers", "learning-rate-too-low"),
    "vanishing-gradients": (*POOR, "frozen-layers", "learning-rate-too-low"),
    # what comes out
    "diverging": ("non-finite", "oscillating", "loss-spike", *POOR),
    "non-finite": ("oscillating", "loss-spike", *POOR),
    "constant-predictions": ("not-learning", "plateau", "underfitting"),
    "not-learning": ("plateau", "underfitting", "oscillating"),
    "oscillating": ("plateau", "underfitting", "loss-spike"),
    "plateau": ("underfitting",),
}
"""Kind of a cause -> kinds that may follow from it. The order is the rank: the most upstream first."""

RANK = {kind: place for place, kind in enumerate(EXPLAINS)}

SLACK = 20
"""Steps that a cause may be seen after what follows from it (house rule: rows that measure layers are
rarer than losses, and the more so the longer the training; hence also LATER)."""

LATER = 2
"""Times the step of a symptom until which its cause may be seen (the distance of due rows doubles)."""

CHRONIC = (*POOR, "still-improving", "learning-rate-too-low")
"""Kinds that are judged over the whole training, so that their step says little about what was first."""


def attach(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings with those that follow from another one attached to it, the gravest cause first.

    A consequence lies with the root of its chain: the most upstream and earliest finding that explains
    it. A cause is as grave as the gravest of what follows from it. But a remark is no more than the likely
    cause of what is fatal: that stands for itself and names it, and the remark becomes a warning. Nothing
    is lost: see `flatten`.
    """
    found = list(flatten(findings))
    causes = [_cause_of(place, found) for place in range(len(found))]
    likely = _likely_causes(found, causes)
    firm = [None if place in likely else cause for place, cause in enumerate(causes)]
    roots = [_root(place, firm) for place in range(len(found))]
    heads = []
    for place, finding in enumerate(found):
        if roots[place] != place:
            continue
        follows = tuple(sorted((found[i] for i, root in enumerate(roots) if root == place != i), key=_order))
        least = Severity.WARNING if place in likely.values() else finding.severity
        gravest = max((least, finding.severity, *(other.severity for other in follows)))
        said = _naming(finding, found[likely[place]]) if place in likely else finding
        heads.append(replace(said, severity=gravest, consequences=follows))
    return tuple(sorted(heads, key=_order))


def flatten(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Every finding and, after it, each of its consequences, all without consequences of their own."""
    for finding in findings:
        yield replace(finding, consequences=())
        yield from flatten(finding.consequences)


def _cause_of(place: int, found: list[Finding]) -> int | None:
    """Where the most upstream finding stands that explains the one at `place`; None when none does."""
    symptom = found[place]
    causes = [i for i, other in enumerate(found) if _explains(other, symptom)]
    grave = [i for i in causes if found[i].severity > Severity.INFO]
    if not grave and symptom.severity > Severity.INFO and symptom.kind not in OUTCOMES:
        return None  # a remark is no cause of an illness, unless something must be
    return min(grave or causes, key=lambda i: _upstream(found[i]), default=None)


def _root(place: int, causes: list[int | None]) -> int:
    """The first of the chain of causes that ends at `place`."""
    cause = causes[place]
    return place if cause is None else _root(cause, causes)


def _likely_causes(found: list[Finding], causes: list[int | None]) -> dict[int, int]:
    """Of what is fatal: where its chain of causes goes on with remarks alone, and the root of these."""
    likely = {}
    for place, finding in enumerate(found):
        root = _root(place, causes)
        if finding.severity is not Severity.FATAL or found[root].severity > Severity.INFO:
            continue
        last, cause = place, causes[place]
        while cause is not None:
            last = cause if found[cause].severity > Severity.INFO else last
            cause = causes[cause]
        likely[last] = root
    return likely


def _naming(finding: Finding, remark: Finding) -> Finding:
    """The finding with its likely cause in its own."""
    likely = f"likely because of {remark.kind} (step {remark.step})"
    return replace(finding, cause=f"{finding.cause}; {likely}" if finding.cause else likely)


def _explains(cause: Finding, symptom: Finding) -> bool:
    if symptom.kind not in EXPLAINS.get(cause.kind, ()):
        return False
    return symptom.kind in CHRONIC or cause.step <= max(symptom.step + SLACK, LATER * symptom.step)


def _upstream(finding: Finding) -> tuple[int, int]:
    """Sorts causes: the most upstream first, then the earliest."""
    return RANK[finding.kind], finding.step


def _order(finding: Finding) -> tuple[int, int, int, str]:
    return -finding.severity, RANK.get(finding.kind, len(RANK)), finding.step, finding.kind
