"""What is kept of a measured step until the next one: copies of weights, and gradients.

Most loops make new gradients at every step and let the old ones go: then those themselves are kept, and no
copy. The first pair of steps is made of copies and shows what the loop does; later ones are looked at each
time, as a loop may change its ways.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from diagnostics.measuring.figures import Figure

Columns = dict[str, Tensor]

CHANGED = 1e-3
"""A sum of squares that is off by this share is that of other numbers: it is beyond rounding, and less could
not be seen in a figure (house rule)."""


class Copies:
    """Copies of tensors on the host, in memory that is used again.

    Fresh memory would cost a small model a third of a step: the loop's next gradients would find theirs taken
    by the copies, and have to ask the system for more. A device has its own store of memory.
    """

    def __init__(self) -> None:
        self._free: Columns = {}

    def copy(self, name: str, x: Tensor) -> Tensor:
        """A copy of `x`, where one of this name has been given back if that fits."""
        place = self._free.pop(name, None)
        if place is None or place.shape != x.shape or place.dtype != x.dtype or place.device != x.device:
            return x.detach().clone()
        return place.copy_(x)

    def give_back(self, copies: Mapping[str, Tensor]) -> None:
        """These are no longer needed; others that lay ready are let go: so there is one for each name."""
        self._free = {name: x for name, x in copies.items() if x.is_cpu}


class Kept:
    """The gradients of one step, by parameter."""

    def __init__(self) -> None:
        self.values: Columns = {}
        self._lent: dict[str, tuple[Tensor, int]] = {}  # the loop's own, with their versions
        self._norms: dict[str, Figure] = {}

    def add(self, name: str, g: Tensor, norm: Figure, *, is_loops: bool, lends: bool | None) -> None:
        """One gradient with its norm: the loop's own tensor, or one that was made for us.

        `lends` says whether the loop's own may stand in for a copy; None that it is held beside it, to show.
        On a device it is copied in any case: no loop waits for that.
        """
        self.values[name], self._norms[name] = g, norm
        self._lent.pop(name, None)
        if not is_loops:
            return
        if lends is not False and type(g) is Tensor and g.is_cpu and not g.is_inference():
            own = g.detach()  # without a graph, and with the version of the loop's tensor
            self.values[name], self._lent[name] = own, (own, own._version)
        if not (lends and name in self._lent):
            self.values[name] = g.clone()

    @property
    def is_lent(self) -> bool:
        """Whether tensors of the loop are held, instead of copies or beside them."""
        return bool(self._lent)

    @property
    def needs_loan(self) -> bool:
        """Whether some have no copy."""
        return any(self.values[name] is own for name, (own, _) in self._lent.items())

    def copies(self) -> Columns:
        """All gradients as tensors that no loop can change."""
        return {name: g.clone() if name in self._lent else g for name, g in self.values.items()}

    def is_left_alone(self, new: Mapping[str, Tensor], square: Figure, names: Sequence[str]) -> bool:
        """Whether the loop has not changed its tensors, and has put others in their place: `new`.

        `square` is what the squares of those with these `names` add up to now.
        """
        for name, (own, version) in self._lent.items():
            if own._version != version or (name in new and new[name].data_ptr() == own.data_ptr()):
                return False
            if self.values[name] is not own and not torch.equal(own, self.values[name]):
                return False
        was = sum(float(self._norms[name]) ** 2 for name in names)
        return abs(float(square) - was) <= CHANGED * was or not math.isfinite(was)
