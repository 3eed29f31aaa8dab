"""Rows of a benchmark: how much longer something takes than its plain twin, and how they are shown.

Notation
    ours, bare    seconds of one repeat of the product, and of its twin next to it    [n]
    ratio         median of ours / bare over the repeats                              scalar
    spread        the quartiles of ours / bare                                        two scalars
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Row:
    """One comparison. `limit` bounds the ratio or, with `in_seconds`, what `ours` takes; None: no target."""

    name: str
    ratio: float
    spread: tuple[float, float]
    ours: float
    bare: float
    repeats: int
    limit: float | None = None
    in_seconds: bool = False

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        measured = self.ours if self.in_seconds else self.ratio
        return None if self.limit is None else measured <= self.limit


@dataclass(frozen=True)
class Share:
    """One part of what `ours` takes: seconds and the number of calls, per repeat."""

    name: str
    seconds: float
    calls: float


@dataclass(frozen=True)
class Result:
    """What a benchmark found. `shares` breaks down the time of its first row where that helps."""

    title: str
    about: str
    rows: Sequence[Row]
    shares: Sequence[Share] = ()


def row(
    name: str,
    ours: Sequence[float],
    bare: Sequence[float],
    limit: float | None = None,
    in_seconds: bool = False,
) -> Row:
    """A row from the seconds of repeats that were measured next to each other."""
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    spread = (low, high)
    return Row(name, median(ratios), spread, median(ours), median(bare), len(ratios), limit, in_seconds)


def to_text(result: Result) -> str:
    """A result for the terminal."""
    table = [["", "ratio", "quartiles", "ours", "bare", "repeats", "target"], *map(_cells, result.rows)]
    lines = [result.title, *_aligned(table)]
    if result.shares:
        lines += ["  of which, per repeat:"]
        lines += _aligned([[s.name, duration(s.seconds), f"{s.calls:g} calls"] for s in result.shares])
    return "\n".join(lines)


def to_markdown(result: Result) -> str:
    """A result as a section of a document."""
    lines = [f"## {result.title}", "", result.about, ""]
    lines += ["| | ratio | quartiles | ours | bare | repeats | target |", "|---|--:|--:|--:|--:|--:|--:|"]
    lines += ["| " + " | ".join(_cells(entry)) + " |" for entry in result.rows]
    if result.shares:
        lines += ["", f"Where the time of “{result.rows[0].name}” goes, per repeat:", ""]
        lines += ["| call | time | calls |", "|---|--:|--:|"]
        lines += [f"| {s.name} | {duration(s.seconds)} | {s.calls:g} |" for s in result.shares]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def _cells(entry: Row) -> list[str]:
    target = ""
    if entry.limit is not None:
        bound = duration(entry.limit) if entry.in_seconds else f"{entry.limit:g}"
        target = f"at most {bound}: {'met' if entry.is_met else 'MISSED'}"
    low, high = entry.spread
    spread = f"{low:.3f} to {high:.3f}"
    times = [duration(entry.ours), duration(entry.bare)]
    return [entry.name, f"{entry.ratio:.3f}", spread, *times, str(entry.repeats), target]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines: list[str] = []
    for cells in table:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  " + "  ".join([cells[0].ljust(widths[0]), *padded[1:]]))
    return lines
