"""What is seen at the door of a model: its answers, in which mode it ran, where a value turned non-finite."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, is_grad_enabled, nn
from torch.compiler import is_compiling, is_dynamo_compiling

from diagnostics.measuring import measures, sites
from diagnostics.measuring.batch import parts
from diagnostics.measuring.figures import Made, Row, quotient
from diagnostics.measuring.hooks import Guard, Staying
from diagnostics.measuring.origin import bad_numbers, origin_of
from diagnostics.measuring.probe import Probe

ALARMS = 3
"""Steps whose answers are not finite though their loss is, before answers are looked at no more: such a
model masks answers with infinities on purpose (house rule)."""

SETTLED, FEW = 100, 65_536
"""After so many sound passes in training mode, answers of at most so many numbers are looked at for NaN alone
before the update, at half the price; for infinities when their loss turns out not to be finite."""

LARGE = 2_000
"""Numbers from which on their sum, NaN if one is, takes less time than comparing each with itself."""

NOTED = ("looks", "suspects", "trains", "_origin", "_alarms", "_may_look", "_unsettled")
"""Plain attributes that outlast a step."""


class AnswerWatch(Staying):
    """A hook on the whole model, itself; it is on the way of every step.

    Every answer on the host is checked for finite numbers, in a settled training in two parts (`SETTLED`);
    with `looks` those on a device as well, which has to be waited for.
    """

    def __init__(self, model: nn.Module, probe: Probe, guard: Guard, *, looks: bool) -> None:
        self.looks = looks
        self.newest: Tensor | None = None  # answers looked at for NaN alone, until `monitor.step`
        self.suspects = False  # an answer since the newest finite loss was not finite
        self.trains = True  # the newest pass with gradients ran in training mode
        self._probe = probe
        self._guard = guard
        self._answers: Tensor | None = None
        self._origin = ""
        self._alarms = 0
        self._may_look = True  # no origin is known of this step, and few enough were false alarms
        self._unsettled = SETTLED  # passes until it is enough to look for NaN; below 0 it never is
        self._is_brief = False
        self._passes = [0, 0]  # without gradients since the last evaluation: in evaluation, training mode
        self._handle = model.register_forward_hook(self, with_kwargs=True)

    def __call__(self, model: nn.Module, args: Any, kwargs: Any, answer: Any) -> None:
        """A forward pass has ended."""
        try:
            if is_dynamo_compiling():  # asked first: what compiled code has looked at may not change below
                return
            if (
                self._is_brief
                and type(answer) is Tensor
                and answer.requires_grad
                and model.training
                and self.newest is None
                and answer.is_cpu
                and (answer.equal(answer) if answer.numel() <= LARGE else _is_free_of_nan(answer))
            ):
                self.newest, self.trains = answer, True  # its loss will tell of infinities
            else:
                self._look(model, args, kwargs, answer)
        except Exception as error:
            if not sites.is_transformed():  # where a tensor has no numbers to look at
                self._guard.note("answers of the model", error)

    def expect(self, *, row: bool) -> None:
        """A row is taken of the next step, or not: then a quick look is enough in a settled training."""
        self._is_brief = self._unsettled == 0 and self._may_look and not row

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
            self.expect(row=self._probe.armed)

    def origin(self, step: int, batch: Any) -> str:
        """Where the non-finite loss of this step came from, as a phrase."""
        if self._origin.startswith("weight") and step > 0:
            return f"{self._origin}, since the update of step {step - 1} was not finite"
        if self._origin:
            return self._origin
        targets, anything = bad_numbers(parts(batch)[1]), bad_numbers(batch)
        if targets or anything:
            return f"input: {targets} of the targets" if targets else f"input: {anything}"
        if self.newest is not None and (count := int(torch.isinf(self.newest.detach()).sum())):
            of_all = f"{count} of {self.newest.numel()} numbers"
            return f"answer of {type(self._probe.model).__name__}: infinity in {of_all}"
        return "loss"

    def state_dict(self) -> dict[str, Any]:
        """What it has noted, between two steps."""
        return {name: getattr(self, name) for name in NOTED} | {"passes": list(self._passes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in NOTED:
            setattr(self, name, state[name])
        self._passes, self._answers, self.newest = list(state["passes"]), None, None
        self.expect(row=self._probe.armed)

    def close(self) -> None:
        """The hook off."""
        self._handle.remove()
        self._answers = self.newest = None

    def _look(self, model: nn.Module, args: Any, kwargs: Any, answer: Any) -> None:
        if is_compiling():  # as a graph is, that is exported
            return
        if not is_grad_enabled():
            self._passes[model.training] += 1
            return
        self.trains = model.training
        if self.newest is not None:  # of a pass that was no step: its graph was held longer than it had to be
            self.newest, self._unsettled = None, -1
            self.expect(row=self._probe.armed)
        if self._probe.armed:
            self._keep(args, kwargs, answer)
        answers = answer if type(answer) is Tensor else sites.first_tensor(answer)
        if self._may_look and answers is not None and (answers.is_cpu or self.looks):
            self._look_at_all(answers, args, kwargs)

    def _look_at_all(self, answers: Tensor, args: Any, kwargs: Any) -> None:
        if not _is_finite(answers):
            self._origin = origin_of(self._probe.model, args, kwargs)
            self.suspects, self._may_look = True, False
        elif self.trains and self._unsettled > 0:
            self._unsettled -= 1
        self.expect(row=self._probe.armed)

    def _keep(self, args: Any, kwargs: Any, answer: Any) -> None:
        """The answers of a due step, until `take`."""
        answers = sites.first_tensor(answer)
        if answers is not None and not sites.is_transformed():
            self._answers = answers.detach()
            self._probe.replay(args, kwargs)


def answer_row(loss: Tensor | float, answers: Tensor | None, target: Any, task: str) -> Row:
    """What the answers look like, and how the loss compares with the plain one of the same answers."""
    if answers is None or not answers.numel() or not answers.ndim:
        return {}
    comparable = task != "other" and isinstance(target, Tensor) and target.ndim
    known: Tensor | None = target if comparable else None
    axis = measures.unit_axis(answers, known)
    row: Row = {**measures.answer_figures(answers, task == "classification", axis)}
    if known is not None:
        plain = measures.plain_loss(answers, known.to(answers.device), task)
        row["loss_ratio"] = math.nan if plain is None else Made(quotient, loss, plain)
    return row


def width_of(answers: Tensor | None, target: Tensor | None) -> int | None:
    """How many numbers the model answers for a sample, or a place of one."""
    if answers is None or answers.ndim < 2:
        return None
    return answers.shape[measures.unit_axis(answers, target)]


def _is_free_of_nan(answers: Tensor) -> bool:
    """Whether none is NaN, of numbers so few that this is looked at by itself."""
    if answers.numel() > FEW:
        return False
    return not math.isnan(answers.sum().item()) or answers.equal(answers)  # infinities of both signs: NaN


def _is_finite(answers: Tensor) -> bool:
    """One pass over the numbers, and another where their sum may just have overflowed."""
    try:
        total = answers.sum().item()
        return total - total == 0 or bool(torch.isfinite(answers).all())
    except RuntimeError:
        if sites.is_transformed():  # asked here and not before: this is on the way of every step
            return True
        raise
