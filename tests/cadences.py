"""Cadences that leave nothing to chance."""

from __future__ import annotations

from diagnostics.measuring.cadence import Fixed


def always() -> Fixed:
    """Every step is measured."""
    return Fixed(growth=1.0, longest=1)


class Never:
    """No step is measured: only what comes with every step is there."""

    def is_due(self, step: int) -> bool:
        """Never."""
        return False

    def next_question(self, step: int) -> int:
        """There is nothing to ask about, but any step may be."""
        return step + 1

    def done(self, measured: bool, steps: int = 1) -> None:
        """Nothing to learn."""
