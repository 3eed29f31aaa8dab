"""Hooks on, one row of figures that stays on the device, hooks off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from diagnostics.measuring import sites
from diagnostics.measuring.figures import Row
from diagnostics.measuring.forward import ForwardProbe
from diagnostics.measuring.hooks import Guard
from diagnostics.measuring.origin import replay
from diagnostics.measuring.parameters import ParameterProbe


class Probe:
    """Takes the figures of single steps; between them no hook of it is on the model or the optimizers."""

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer], guard: Guard) -> None:
        self.model = sites.unwrapped(model)
        self.forward = ForwardProbe(self.model, guard)
        self.parameters = ParameterProbe(self.model, optimizers, guard)
        self.armed = False  # for a whole row
        self.paired = False  # for the second half of a pair
        self._outer = model
        self._compiled = False

    def arm(self, *, whole: bool) -> None:
        """Hooks on for the next step when a `whole` row is due, or when it makes a pair with the last one."""
        paired = self.parameters.has_half_pair
        if not (whole or paired):
            return
        self.armed, self.paired = whole, paired
        self.parameters.attach(whole=whole)
        self._compiled = whole and sites.is_compiled(self._outer)
        if whole and not self._compiled:  # compiled code knows no hooks, or is compiled again for them
            self.forward.attach()

    def replay(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Of a compiled model: run one pass once more as it is written, for the figures of its parts."""
        if not (self.armed and self._compiled):
            return None
        self._compiled = False  # once is enough for a row
        self.forward.attach()
        self.forward.always = True
        try:
            return replay(self.model, args, kwargs)
        finally:
            self.forward.always = False
            self.forward.detach()

    def take(self) -> Row:
        """The row of the step that has just ended, and hooks off."""
        row: Row = {}
        if self.armed:
            row |= self.forward.take()
            self.parameters.order(self.forward.order)
        row |= self.parameters.take(self.forward.normalised)
        self.disarm()
        return row

    def disarm(self) -> None:
        """Hooks off."""
        self.forward.detach()
        self.parameters.detach()
        self.armed = self.paired = False

    def forget(self) -> None:
        """Hooks off and nothing kept of the last step either."""
        self.disarm()
        self.parameters.forget()

    def state_dict(self) -> dict[str, Any]:
        """What it knows between two steps."""
        return {
            "armed": self.armed,
            "paired": self.paired,
            "forward": self.forward.state_dict(),
            "parameters": self.parameters.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave: hooks on where the next step is to be looked at."""
        self.disarm()
        self.forward.load_state_dict(state["forward"])
        self.parameters.load_state_dict(state["parameters"])
        if state["armed"] or state["paired"]:
            self.arm(whole=state["armed"])

    def facts(self) -> dict[str, float | int | str]:
        """What is known once a first row was taken."""
        probe = self.forward
        if not probe.order:
            return {}
        return {
            "head": probe.head,
            "head_layer": probe.layers[-1] if probe.layers else "",
            "activations": ",".join(dict.fromkeys(probe.kinds[name] for name in probe.activations)),
        }
