"""What one optimizer step did to the parameters, and what it shares with the step after it.

Notation
    w, w'   a parameter before and after the step
    g, g'   its gradient at the step and at the next one, as the optimizer saw it
    u       the true update, w' - w
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from diagnostics.measuring import measures, sites
from diagnostics.measuring.hooks import Guard, Hook
from diagnostics.measuring.measures import Row

Columns = dict[str, Tensor]


class ParameterProbe:
    """Looks at all trainable parameters right before an optimizer moves them, and after.

    A step is measured whole, or as the second half of a pair: then its gradient is compared with that of
    the step before, and with the update that one made.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer], guard: Guard) -> None:
        named = ((sites.plain_name(name), p) for name, p in model.named_parameters())
        self._all = {name: p for name, p in named if p.requires_grad}
        self._optimizers = tuple(optimizers)
        self._guard = guard
        self._handles: list[RemovableHandle] = []
        self._whole = False
        self._seen: set[int] = set()  # the optimizers that have made their step
        self._before: Columns = {}
        self._gradients: Columns = {}
        self._pair: tuple[Columns, Columns, Tensor] | None = None  # g, u and ||g||² of the step before
        self._shared: Row = {}

    @property
    def has_half_pair(self) -> bool:
        """Whether the step before was measured, so that the next one makes a pair with it."""
        return self._pair is not None

    def attach(self, *, whole: bool) -> None:
        """Hooks on the optimizers for their next step."""
        self._whole = whole
        before = Hook(self._before_step, self._guard, "parameters before the step")
        after = Hook(self._after_step, self._guard, "parameters after the step")
        self._handles = [optimizer.register_step_pre_hook(before) for optimizer in self._optimizers]
        self._handles += [optimizer.register_step_post_hook(after) for optimizer in self._optimizers]

    def detach(self) -> None:
        """Hooks off; the copies are let go, but for those a pair still needs."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._seen.clear()
        self._before, self._gradients = {}, {}

    def forget(self) -> None:
        """Hooks off and nothing kept."""
        self.detach()
        self._pair = None

    def state_dict(self) -> dict[str, Any]:
        """What it knows between two steps: the order of the columns, and the first half of a pair."""
        return {"names": list(self._all), "pair": self._pair}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises: KeyError for a parameter that the model lacks."""
        self._all = {name: self._all[name] for name in state["names"]}
        self._pair = None
        if state["pair"] is not None:
            *both, size = state["pair"]
            g, u = ({n: x.to(self._all[n].device) for n, x in part.items()} for part in both)
            self._pair = (g, u, size.to(next(iter(g.values()), size).device))

    def order(self, modules: Sequence[str]) -> None:
        """From now on the columns follow these modules; parameters of others come last."""
        place = {name: i for i, name in enumerate(modules)}

        def rank(name: str) -> int:
            while name := _owner(name):  # of a part that is never called itself: the place of its whole
                if name in place:
                    return place[name]
            return len(place)

        ranked = sorted(self._all, key=rank)
        self._all = {name: self._all[name] for name in ranked}

    def take(self, normalised: Sequence[str]) -> Row:
        """The figures of the step; `normalised` names the modules whose output goes to a norm.

        Those of the pair are among them when there was one. None of the step itself when no optimizer
        has moved, as under a gradient scaler that skips it.
        """
        row, self._shared, self._pair = self._shared, {}, None
        if not (self._whole and self._seen and self._all):
            return row
        with torch.no_grad():
            w = {name: self._before.get(name, p.detach()) for name, p in self._all.items()}
            moved = [p.detach() for p in self._all.values()]
            u = dict(zip(w, torch._foreach_sub(moved, list(w.values())), strict=True))
            row |= self._norms(w, u, normalised)
            row |= self._spreads(w)
            size: Tensor = row["total_grad_norm"] ** 2  # type: ignore[operator]
        self._pair = (self._gradients, {name: u[name] for name in self._gradients}, size)
        self._gradients = {}
        return row

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._whole and id(optimizer) not in self._seen:
            held = _held(optimizer)
            new = {n: p.detach().clone() for n, p in self._all.items() if id(p) in held}
            self._before = new | self._before
        if not _closure(args, kwargs):
            self._take_gradients(optimizer)

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if _closure(args, kwargs):  # it computes the gradients inside the step: the last ones count
            self._take_gradients(optimizer)

    def _take_gradients(self, optimizer: Optimizer) -> None:
        held, scale = _held(optimizer), _scale(optimizer)
        with torch.no_grad():
            g = {
                name: _dense(p.grad, scale)
                for name, p in self._all.items()
                if p.grad is not None and id(p) in held
            }
            if self._pair is not None:
                self._shared |= _pair_figures(*self._pair, g)
            if self._whole and id(optimizer) not in self._seen:
                self._gradients |= {name: values.clone() for name, values in g.items()}
                self._seen.add(id(optimizer))

    def _norms(self, w: Columns, u: Columns, normalised: Sequence[str]) -> Row:
        """Norms of weights, gradients and updates: per matrix, per vector and over all."""
        g, names = self._gradients, list(w)
        found = measures.norms([*w.values(), *u.values(), *g.values()])
        n = len(names)
        zero = torch.zeros_like(found[0])
        kinds = {
            "weight": dict(zip(names, found[:n], strict=True)),
            "update": dict(zip(names, found[n : 2 * n], strict=True)),
            "grad": dict.fromkeys(names, zero) | dict(zip(g, found[2 * n :], strict=True)),
        }
        row: Row = {}
        for kind, columns in kinds.items():
            row[f"{kind}_norm"] = {name: x for name, x in columns.items() if self._all[name].ndim >= 2}
            row[f"vector_{kind}_norm"] = {name: x for name, x in columns.items() if self._all[name].ndim < 2}
            row[f"total_{kind}_norm"] = measures.total(list(columns.values()))
        row["rotation"] = {
            name: measures.rotation(
                kinds["weight"][name], measures.length(self._all[name].detach()), kinds["update"][name]
            )
            for name in names
            if self._all[name].ndim >= 2 and _owner(name) in normalised
        }
        return row

    def _spreads(self, w: Columns) -> Row:
        """How much the rows of every matrix, and of its gradient, differ; one row alone cannot."""
        matrices = [name for name in w if w[name].ndim >= 2 and len(w[name]) > 1]
        g = {name: self._gradients[name] for name in matrices if name in self._gradients}
        found = measures.row_spreads([*(w[name] for name in matrices), *g.values()])
        of_g = dict(zip(g, found[len(matrices) :], strict=True))
        return {
            "row_spread": dict(zip(matrices, found, strict=False)),
            "grad_row_spread": {
                name: of_g[name] if name in g else w[name].new_zeros(()) for name in matrices
            },
        }


def _pair_figures(
    old: Mapping[str, Tensor], u: Mapping[str, Tensor], size: Tensor, new: Mapping[str, Tensor]
) -> Row:
    """What the gradients of two successive steps say about each other and about the step between them.

    `size` is the squared norm of `old`.
    """
    names = [name for name in old if name in new]
    if not names:
        return {}
    one, other, step = ([source[name] for name in names] for source in (old, new, u))
    first, second = measures.dot(one, step), measures.dot(other, step)
    return {
        "grad_dot": measures.dot(one, other),
        "grad_square": ((size if len(names) == len(old) else measures.square(one)) + measures.square(other))
        / 2,
        "overshoot": torch.where(first != 0, 1 - second / first, torch.ones_like(first)),
    }


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _held(optimizer: Optimizer) -> set[int]:
    """The parameters it moves; asked each time, as groups may be added on the way."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def _closure(args: Any, kwargs: Any) -> Any:
    """What `optimizer.step` was told to call, if anything; the first of `args` is the optimizer."""
    return kwargs.get("closure", args[1] if len(args) > 1 else None)


def _dense(g: Tensor, scale: Tensor | None) -> Tensor:
    g = g.detach()
    g = g if g.layout is torch.strided else g.to_dense()
    return g if scale is None else g / scale


def _scale(optimizer: Optimizer) -> Tensor | None:
    """The loss scale that a fused optimizer takes out of the gradients itself, under a gradient scaler."""
    scale = getattr(optimizer, "grad_scale", None)
    return scale if isinstance(scale, Tensor) else None
