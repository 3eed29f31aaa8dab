"""How many trainings a device can hold: pure arithmetic of memory, in MB.

Notation
    load     what one running training takes of its device, as far as it is known
    total    the memory of the device, None until it was measured
    context  what a process takes of a device beside its tensors (CUDA's context and its libraries)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from searcher.usage import Usage
from trainers.progress import Progress

SHARE = 0.9
"""How much of a device is given out (house rule): predictions are not exact, and memory fragments."""

CONTEXT_MB = 600.0
"""Reserve for each process (house rule): contexts of recent GPUs take from 300 to 600 MB."""

OWN, TOTAL = "gpu_memory_mb", "gpu_memory_total_mb"
"""Figures of a `Usage`: what the process takes of its device, and what the device has."""


@dataclass(frozen=True)
class Load:
    """A running training: what was predicted, whether it has made a step, its peak measured since then."""

    predicted_mb: float | None = None
    stepped: bool = False
    measured_mb: float | None = None

    @property
    def takes_mb(self) -> float | None:
        """Its peak with the reserve of its process; None while nothing is known: it is a probe."""
        known = [mb for mb in (self.predicted_mb, self.measured_mb) if mb is not None]
        return max(known) + CONTEXT_MB if known else None

    def after(self, body: object) -> Load:
        """The load once the training has said `body`: what it takes before its first step is not its peak."""
        if isinstance(body, Progress):
            return replace(self, stepped=self.stepped or body.step > 0)
        if isinstance(body, Usage) and self.stepped and OWN in body.figures:
            return replace(self, measured_mb=max(body.figures[OWN], self.measured_mb or 0.0))
        return self


def fits(total_mb: float | None, running: Iterable[Load], next_mb: float | None, contexts: int = 0) -> bool:
    """Whether a training that is predicted to take `next_mb` may begin on a device beside those `running`.

    An empty device takes any. Beside others it needs to be known what all of them take; a training that
    nothing is known of runs alone until it was measured. `contexts` counts processes that rest on the device.
    """
    taken = [load.takes_mb for load in running]
    if not taken:
        return True
    known = [mb for mb in taken if mb is not None]
    if total_mb is None or next_mb is None or len(known) < len(taken):
        return False
    return sum(known) + next_mb + CONTEXT_MB * (1 + contexts) <= SHARE * total_mb


def is_probed(running: Iterable[Load]) -> bool:
    """Whether one of the trainings on a device has to be alone until it was measured."""
    return any(load.takes_mb is None for load in running)
