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
from diagnostics.measuring.kept import Columns, Copies, Kept

Figures = dict[str, Figure]


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
        self._copies = Copies()
        self._lends: bool | None = None  # whether the loop makes new gradients at every step; None: not known
        self._gradients = Kept()
        self._norms: dict[str, Figures] = {"weight": {}, "grad": {}}
        self._spreads: dict[str, Figures] = {"weight": {}, "grad": {}}
        self._pair: tuple[Kept, Columns] | None = None  # g and u of the step before
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
        self._start()

    def forget(self) -> None:
        """Hooks off and nothing kept."""
        self.detach()
        self._pair, self._copies = None, Copies()

    def state_dict(self) -> dict[str, Any]:
        """What it knows between two steps: the order of the columns, and the first half of a pair."""
        pair = None
        if self._pair is not None:
            g, u = self._pair[0].copies(), self._pair[1]
            pair = (g, {name: x.clone() for name, x in u.items()})
        return {"names": list(self._all), "pair": pair}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises: KeyError for a parameter that the model lacks."""
        self._all = {name: self._all[name] for name in state["names"]}
        self._pair = None
        if state["pair"] is not None:
            g, u = (
                {name: x.to(self._all[name].device, copy=True) for name, x in part.items()}
                for part in state["pair"]
            )
            kept = Kept()
            kept.values = g
            self._pair = (kept, u)

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
        row, self._shared = self._shared, {}
        if self._pair is not None:
            self._copies.give_back(self._pair[1])
            self._pair = None
        if not (self._whole and self._seen and self._all):
            return row
        with torch.no_grad():
            self._look_at("weight", {name: p for name, p in self._all.items() if name not in self._before})
            row |= self._spread_row()
            row |= self._norm_row(normalised)
        g = self._gradients
        self._pair = (g, {name: self._before[name] for name in g.values if name in self._before})
        self._start()
        return row

    def _start(self) -> None:
        """Nothing is known of a step."""
        self._before, self._gradients = {}, Kept()
        for figures in (self._norms, self._spreads):
            figures["weight"], figures["grad"] = {}, {}

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._whole and id(optimizer) not in self._seen:
            held = _held(optimizer)
            with torch.no_grad():
                w = {n: p for n, p in self._all.items() if id(p) in held and n not in self._before}
                self._before |= {name: self._copies.copy(name, p) for name, p in w.items()}
                self._look_at("weight", w)
        if not _closure(args, kwargs):
            self._take_gradients(optimizer)

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if _closure(args, kwargs):  # it computes the gradients inside the step: the last ones count
            self._take_gradients(optimizer)

    def _take_gradients(self, optimizer: Optimizer) -> None:
        """Norms now, before the optimizer can change them; what a pair needs is kept."""
        held, scale = _held(optimizer), _scale(optimizer)
        with torch.no_grad():
            g = {
                name: _dense(p.grad, scale)
                for name, p in self._all.items()
                if p.grad is not None and id(p) in held
            }
            if self._pair is not None:
                self._close_pair(*self._pair, g)
            if self._whole and id(optimizer) not in self._seen:
                self._look_at("grad", g)
                for name, x in g.items():
                    own = x is self._all[name].grad
                    norm = self._norms["grad"][name]
                    self._gradients.add(name, x, norm, is_loops=own, lends=self._lends)
                self._seen.add(id(optimizer))

    def _close_pair(self, old: Kept, u: Columns, new: Columns) -> None:
        """What the gradients of two successive steps say about each other and about the step between them.

        Nothing where the loop has changed the old ones, which it had never done before.
        """
        names = [name for name in old.values if name in new and name in u]
        if not names:
            return
        vectors = [[source[name] for name in names] for source in (old.values, new, u)]
        square, dot, first, next_square, second = measures.dots(
            vectors, [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]
        )
        if old.is_lent:
            self._lends = self._lends is not False and old.is_left_alone(new, square, names)
            if old.needs_loan and not self._lends:
                self._shared, self._pair = {}, None
                return
        self._shared |= {
            "grad_dot": dot,
            "grad_square": Made(average, square, next_square),
            "overshoot": Made(_overshoot, first, second),
        }

    def _look_at(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """Norms of weights or gradients, and how much the rows of matrices differ; one row alone cannot."""
        matrices = [name for name, x in tensors.items() if x.ndim >= 2 and len(x) > 1]
        self._norms[kind] |= zip(tensors, measures.norms([*tensors.values()]), strict=True)
        spreads = measures.row_spreads([tensors[name] for name in matrices])
        self._spreads[kind] |= zip(matrices, spreads, strict=True)

    def _norm_row(self, normalised: Sequence[str]) -> Row:
        """Norms of weights, gradients and updates: per matrix, per vector and over all.

        The copies of the weights become the updates on the way.
        """
        u, w = self._before, self._norms["weight"]
        matrices = [name for name, p in self._all.items() if p.ndim >= 2]
        vectors = [name for name, p in self._all.items() if p.ndim < 2]
        turned = [name for name in matrices if _owner(name) in normalised]
        if u:  # an optimizer may hold none of these parameters
            torch._foreach_sub_(list(u.values()), [self._all[name] for name in u])
        found = measures.norms([*u.values(), *(self._all[name] for name in turned)])
        of_u: Figures = dict(zip(u, found, strict=False))
        row: Row = {}
        for kind, norms in (("weight", w), ("update", of_u), ("grad", self._norms["grad"])):
            row[f"{kind}_norm"] = {name: norms.get(name, 0.0) for name in matrices}
            row[f"vector_{kind}_norm"] = {name: norms.get(name, 0.0) for name in vectors}
            row[f"total_{kind}_norm"] = Made(root_of_squares, *norms.values())
        row["rotation"] = {
            name: Made(measures.rotation, w[name], new, of_u.get(name, 0.0))
            for name, new in zip(turned, found[len(u) :], strict=True)
        }
        return row

    def _spread_row(self) -> Row:
        w, g = self._spreads["weight"], self._spreads["grad"]
        matrices = [name for name in self._all if name in w]
        return {
            "row_spread": {name: w[name] for name in matrices},
            "grad_row_spread": {name: g.get(name, 0.0) for name in matrices},
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
