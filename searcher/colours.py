"""The colour of each verdict, the same in the report and in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from diagnostics import Verdict

VERDICT_COLOUR: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.CONVERGED: "#33bc7d",
        Verdict.IMPROVING: "#0186f1",
        Verdict.OVERFITTING: "#db8304",
        Verdict.UNSTABLE: "#cac61d",
        Verdict.NOT_LEARNING: "#5059bb",
        Verdict.DIVERGED: "#cc4a15",
        Verdict.NON_FINITE: "#ad2462",
        Verdict.FAILED: "#df92da",
        Verdict.INCOMPLETE: "#868482",
    }
)
"""In the order of a legend: what went well, what went so-so, what went wrong, what says nothing.

Found by a random search for the largest smallest distance between any two, as people with and without each
kind of colour blindness see them, on white and on nearly black; tests/searcher/test_colours.py measures it.
"""
