"""What one optimizer step did to the parameters, and what it shares with the step after it.

Notation
    w, w'   a parameter before and after the step
    g, g'   its gradient at the step and at the next one, as the optimizer saw it
    u       the true update turned around, w - w', which needs no memory beside the copy of w; a norm, or a
            ratio of two products, is that of the true update
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from diagnostics.measuring import measures, sites
from diagnostics.measuring.figures import Figure, Made, Row, average, root_of_squares
from diagnostics.measuring.hooks import Guard, Hook

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
        self._pair: tuple[Columns, Columns] | None = None  # g and u of the step before
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
            g, u = ({n: x.to(self._all[n].device) for n, x in part.items()} for part in state["pair"])
            self._pair = (g, u)

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
            w = {name: self._before.get(name, p) for name, p in self._all.items()}
            row |= self._spreads(w)
            row |= self._norms(w, normalised)
        self._pair = (self._gradients, {n: self._before[n] for n in self._gradients if n in self._before})
        self._gradients, self._before = {}, {}
        return row

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._whole and id(optimizer) not in self._seen:
            held = _held(optimizer)
            with torch.no_grad():
                new = {name: p.clone() for name, p in self._all.items() if id(p) in held}
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

    def _norms(self, w: Columns, normalised: Sequence[str]) -> Row:
        """Norms of weights, gradients and updates: per matrix, per vector and over all.

        The copies of the weights become the updates on the way.
        """
        g, u, names = self._gradients, self._before, list(w)
        found = measures.norms([*w.values(), *g.values()])
        before, of_g = dict(zip(names, found, strict=False)), dict(zip(g, found[len(names) :], strict=True))
        if u:  # an optimizer may hold none of these parameters
            torch._foreach_sub_(list(u.values()), [self._all[name] for name in u])
        of_u = dict(zip(u, measures.norms(list(u.values())), strict=True))
        nothing: dict[str, Figure] = dict.fromkeys(names, 0.0)
        kinds = {"weight": nothing | before, "update": nothing | of_u, "grad": nothing | of_g}
        row: Row = {}
        for kind, columns in kinds.items():
            row[f"{kind}_norm"] = {name: x for name, x in columns.items() if self._all[name].ndim >= 2}
            row[f"vector_{kind}_norm"] = {name: x for name, x in columns.items() if self._all[name].ndim < 2}
            row[f"total_{kind}_norm"] = Made(root_of_squares, *columns.values())
        turned = [name for name in names if self._all[name].ndim >= 2 and _owner(name) in normalised]
        after = measures.norms([self._all[name] for name in turned])
        row["rotation"] = {
            name: Made(measures.rotation, kinds["weight"][name], new, kinds["update"][name])
            for name, new in zip(turned, after, strict=True)
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
            "grad_row_spread": {name: of_g.get(name, 0.0) for name in matrices},
        }


def _pair_figures(old: Columns, u: Columns, new: Columns) -> Row:
    """What the gradients of two successive steps say about each other and about the step between them."""
    names = [name for name in old if name in new and name in u]
    if not names:
        return {}
    vectors = [[source[name] for name in names] for source in (old, new, u)]
    square, dot, first, next_square, second = measures.dots(vectors, [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)])
    return {
        "grad_dot": dot,
        "grad_square": Made(average, square, next_square),
        "overshoot": Made(_overshoot, first, second),
    }


def _overshoot(first: float, second: float) -> float:
    return 1 - second / first if first else 1.0


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _held(optimizer: Optimizer) -> set[int]:
    """The parameters it moves; asked each time, as groups may be added on the way."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def _closure(args: Any, kwargs: Any) -> Any:
    """What `optimizer.step` was told to call, if anything; the first of `args` is the optimizer."""
    return kwargs.get("closure", args[1] if len(args) > 1 else None)


def _dense(g: Tensor, scale: Tensor | None) -> Tensor:
    g = g if g.layout is torch.strided else g.to_dense()
    return g if scale is None else g / scale


def _scale(optimizer: Optimizer) -> Tensor | None:
    """The loss scale that a fused optimizer takes out of the gradients itself, under a gradient scaler."""
    scale = getattr(optimizer, "grad_scale", None)
    return scale if isinstance(scale, Tensor) else None
