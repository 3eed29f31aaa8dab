"""What one forward pass shows: figures of every layer, activation and norm, taken by hooks.

Notation
    x       what a module takes                           [B, ...]
    out     what it gives                                 [B, ...]
    g       gradient of the loss with respect to `out`    [B, ...]
    B       samples in the batch
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from diagnostics.measuring import measures, sites
from diagnostics.measuring.figures import Figure, Made, Row, average, product, quotient
from diagnostics.measuring.hooks import Guard, Hook

Columns = dict[str, Figure]

WINDOW = 512
"""Samples over which a unit must never fire to count as dead (house rule: one that fires for 1 % of the
samples is missed in them by a chance of 0.6 %)."""

PLACES = 8
"""Places of an image or a sequence that count as samples of a unit, at most: neighbours are alike."""


class ForwardProbe:
    """Hooks on every leaf of a model between `attach` and `take`."""

    def __init__(self, model: nn.Module, guard: Guard) -> None:
        self._guard = guard
        self._hooks = [
            (module, Hook(self._hook(name, sites.role(module)), guard, name))
            for name, module in sites.leaves(model)
        ]
        self._handles: list[RemovableHandle] = []
        self._found: dict[str, dict[str, list[Figure]]] = defaultdict(lambda: defaultdict(list))
        self._fired: dict[str, Tensor] = {}  # how often, by unit
        self._samples: dict[str, int] = defaultdict(int)
        self._before: tuple[str, torch.Size] | None = None
        self._convolved = False  # by the newest layer: then the second axis counts the units
        self._held: tuple[dict[str, Tensor], dict[str, int]] = ({}, {})  # fired and samples before the step
        self.parts = 1  # in which the batch of a step goes through the model
        self.always = False  # look at passes without gradients as well
        self.order: list[str] = []
        self.layers: list[str] = []
        self.activations: dict[str, int] = {}  # name -> place in the order of calls
        self.kinds: dict[str, str] = {}
        self.normalised: list[str] = []

    def attach(self) -> None:
        """Hooks on."""
        self._held = (dict(self._fired), dict(self._samples))
        self._found.clear()
        self._before = None
        self._handles = [module.register_forward_hook(hook) for module, hook in self._hooks]

    def again(self, parts: int) -> None:
        """The step is begun anew, in so many parts: what its passes have shown is forgotten."""
        self.parts = parts
        self._found.clear()
        self._before = None
        self._fired = dict(self._held[0])
        self._samples = defaultdict(int, self._held[1])

    def detach(self) -> None:
        """Hooks off; nothing of the pass is kept alive."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._before = None

    def take(self) -> Row:
        """The figures of the passes since `attach`: means over the calls of a module."""
        figures = {
            signal: {name: _mean(calls) for name, calls in columns.items() if calls}
            for signal, columns in self._found.items()
        }
        figures |= self._dead()
        self._found.clear()
        self._held = (dict(self._fired), dict(self._samples))
        return {**self._without_head(figures)}

    def state_dict(self) -> dict[str, Any]:
        """What it knows between two steps."""
        return {
            "fired": dict(self._fired),
            "samples": dict(self._samples),
            "convolved": self._convolved,
            "order": list(self.order),
            "layers": list(self.layers),
            "activations": dict(self.activations),
            "kinds": dict(self.kinds),
            "normalised": list(self.normalised),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; it looks at no step at the time."""
        self._found.clear()
        self._before = None
        self._fired, self._samples = dict(state["fired"]), defaultdict(int, state["samples"])
        self._held = (dict(self._fired), dict(self._samples))
        self._convolved = state["convolved"]
        self.order, self.layers = list(state["order"]), list(state["layers"])
        self.activations, self.kinds = dict(state["activations"]), dict(state["kinds"])
        self.normalised = list(state["normalised"])

    @property
    def head(self) -> str:
        """The class of the last leaf that was called."""
        return self.kinds[self.order[-1]] if self.order else ""

    def _hook(self, name: str, role: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def look(module: nn.Module, given: tuple[Any, ...], answer: Any) -> None:
            if (torch.is_grad_enabled() or self.always) and not sites.is_transformed():
                self._look(name, role, module, sites.first_tensor(given), sites.first_tensor(answer))

        return look

    def _look(self, name: str, role: str, module: nn.Module, x: Tensor | None, out: Tensor | None) -> None:
        if out is None or out.numel() == 0 or out.ndim == 0:
            return
        if name not in self.kinds:
            self.order.append(name)
            self.kinds[name] = type(module).__name__
        x = None if x is None else x.detach()
        if role == "layer":
            self._look_at_layer(name, module, x, out)
        elif role == "norm":
            self._look_at_norm(name, module, x, out)
        elif role == "activation" and x is not None and x.shape == out.shape:  # it may be a pooling as well
            self.activations.setdefault(name, len(self.order))
            self._look_at_activation(name, out.detach(), type(module))
        if not isinstance(module, sites.PLUMBING):
            self._before = (name, out.shape)

    def _look_at_layer(self, name: str, module: nn.Module, x: Tensor | None, out: Tensor) -> None:
        self._convolved = sites.is_convolution(module)
        if name not in self.layers:
            self.layers.append(name)
        a = out.detach()
        seen = measures.fewer_places(a) if self._convolved else a
        mean, spread = measures.mean_and_spread(seen)
        self._found["output_mean"][name].append(mean)
        self._found["output_spread"][name].append(spread)
        if x is not None and self.layers[0] != name and not self.activations:
            self._look_at_activation(f"{name}.input", x, None)
        if sites.is_squashing(module):
            self._look_at_activation(name, a, nn.Tanh)
            self.activations.setdefault(name, len(self.order))
        if out.requires_grad:
            self._watch_gradient(name, out)

    def _watch_gradient(self, name: str, out: Tensor) -> None:
        samples, found = len(out) * self.parts, self._found["output_grad"][name]

        def look(g: Tensor) -> None:
            found.append(Made(product, measures.root_mean_square(g.detach()), samples))

        out.register_hook(Hook(look, self._guard, name))  # type: ignore[no-untyped-call]

    def _look_at_activation(self, name: str, a: Tensor, kind: type[nn.Module] | None) -> None:
        a = measures.fewer_places(a) if self._convolved else a
        if kind is not None and kind in measures.SLOPES:
            self._found["slope_share"][name].append(measures.slope_share(kind, a))
        firings = measures.firings(a, 1 if self._convolved and a.ndim > 2 else -1)
        self._found["zero_share"][name].append(Made(_missing_share, firings.sum(), a.numel()))
        known = self._fired.get(name)
        fits = known is not None and known.shape == firings.shape
        self._fired[name] = firings + known.to(firings.device) if known is not None and fits else firings
        places = a.numel() // max(1, len(a) * len(firings))
        self._samples[name] += len(a) * max(1, min(PLACES, places))

    def _look_at_norm(self, name: str, module: nn.Module, x: Tensor | None, out: Tensor) -> None:
        before = self._before
        follows = before is not None and before[0] in self.layers and before[1] == out.shape
        if before is not None and follows and before[0] not in self.normalised:
            self.normalised.append(before[0])
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and x is not None and x.ndim >= 2:
            found = measures.running_figures(module, measures.fewer_places(x))
            if found is not None:
                self._found["running_gap"][name].append(found[0])
                self._found["running_ratio"][name].append(found[1])

    def _dead(self) -> dict[str, Columns]:
        """The share of dead units of every site, once the windows of all that were called are full."""
        full = list(self._found["zero_share"])
        if not full or any(self._samples[name] < WINDOW for name in full):
            return {}
        units: Columns = {name: float(len(self._fired[name])) for name in full}
        shares: Columns = {
            name: Made(_missing_share, self._fired[name].count_nonzero(), units[name]) for name in full
        }
        for name in full:
            del self._fired[name], self._samples[name]
        return {"dead_share": shares, "site_units": units}

    def _without_head(self, figures: dict[str, Columns]) -> dict[str, Columns]:
        """Only hidden activations; the inputs of layers stand in where there is no activation module."""
        last = max((self.order.index(name) + 1 for name in self.layers), default=0)
        hidden = {name for name, place in self.activations.items() if place < last}
        for signal in ("zero_share", "slope_share", "dead_share", "site_units"):
            columns = figures.get(signal, {})
            kept = {name: v for name, v in columns.items() if name in hidden} if hidden else columns
            figures[signal] = {n: v for n, v in kept.items() if hidden or n.endswith(".input")}
        return {signal: columns for signal, columns in figures.items() if columns}


def _missing_share(seen: float, of: float) -> float:
    return 1 - quotient(seen, of)


def _mean(calls: list[Figure]) -> Figure:
    return calls[0] if len(calls) == 1 else Made(average, *calls)
