"""What is seen at the door of a model: its answers, in which mode it ran, where a value turned non-finite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagnostics.measuring import sites
from diagnostics.measuring.batch import parts
from diagnostics.measuring.hooks import Guard, Staying
from diagnostics.measuring.origin import bad_numbers, origin_of
from diagnostics.measuring.probe import Probe

ALARMS = 3
"""Steps whose answers are not finite though their loss is, before answers are looked at no more: such a
model masks answers with infinities on purpose (house rule)."""

NOTED = ("looks", "suspects", "trains", "_origin", "_alarms", "_may_look")
"""Plain attributes that outlast a step."""


class AnswerWatch(Staying):
    """A hook on the whole model, itself; it is on the way of every step.

    Every answer on the host is checked for finite numbers; with `looks` those on a device as well, which
    has to be waited for.
    """

    def __init__(self, model: nn.Module, probe: Probe, guard: Guard, *, looks: bool) -> None:
        self.looks = looks
        self.suspects = False  # an answer since the newest finite loss was not finite
        self.trains = True  # the newest pass with gradients ran in training mode
        self._probe = probe
        self._guard = guard
        self._answers: Tensor | None = None
        self._origin = ""
        self._alarms = 0
        self._may_look = True  # no origin is known of this step, and few enough were false alarms
        self._passes = [0, 0]  # without gradients since the last evaluation: in evaluation, training mode
        self._handle = model.register_forward_hook(self, with_kwargs=True)

    def __call__(self, model: nn.Module, args: Any, kwargs: Any, answer: Any) -> None:
        """A forward pass has ended."""
        try:
            if torch.compiler.is_compiling():
                return
            if not torch.is_grad_enabled():
                self._passes[model.training] += 1
                return
            self.trains = model.training
            if self._probe.armed:
                self._keep(args, kwargs, answer)
            if self._may_look:
                answers = answer if type(answer) is Tensor else sites.first_tensor(answer)
                if answers is not None and (answers.is_cpu or self.looks) and not _is_finite(answers):
                    self._origin = origin_of(self._probe.model, args, kwargs)
                    self.suspects, self._may_look = True, False
        except Exception as error:
            self._guard.note("answers of the model", error)

    def take(self) -> Tensor | None:
        """The answers of the newest pass of a due step."""
        answers, self._answers = self._answers, None
        return answers

    def eval_mode_share(self) -> float | None:
        """Of the passes without gradients since the last call, those in evaluation mode."""
        passes, self._passes = self._passes, [0, 0]
        return passes[0] / sum(passes) if sum(passes) else None

    def forgive(self) -> None:
        """The loss was finite, though the answers may not have been."""
        if self.suspects:
            self.suspects, self._origin = False, ""
            self._alarms += 1
            self._may_look = self._alarms < ALARMS

    def origin(self, step: int, batch: Any) -> str:
        """Where the non-finite loss of this step came from, as a phrase."""
        if self._origin.startswith("weight") and step > 0:
            return f"{self._origin}, since the update of step {step - 1} was not finite"
        if self._origin:
            return self._origin
        targets, anything = bad_numbers(parts(batch)[1]), bad_numbers(batch)
        if targets or anything:
            return f"input: {targets} of the targets" if targets else f"input: {anything}"
        return "loss"

    def state_dict(self) -> dict[str, Any]:
        """What it has noted, between two steps."""
        return {name: getattr(self, name) for name in NOTED} | {"passes": list(self._passes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in NOTED:
            setattr(self, name, state[name])
        self._passes, self._answers = list(state["passes"]), None

    def close(self) -> None:
        """The hook off."""
        self._handle.remove()
        self._answers = None

    def _keep(self, args: Any, kwargs: Any, answer: Any) -> None:
        """The answers of a due step, until `take`."""
        answers = sites.first_tensor(answer)
        if answers is not None and not sites.is_transformed():
            self._answers = answers.detach()
            self._probe.replay(args, kwargs)


def _is_finite(answers: Tensor) -> bool:
    """One pass over the numbers, and another where their sum may just have overflowed."""
    try:
        total = answers.sum().item()
        return total - total == 0 or bool(torch.isfinite(answers).all())
    except RuntimeError:
        if sites.is_transformed():  # asked here and not before: this is on the way of every step
            return True
        raise
