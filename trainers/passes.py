"""Forward and backward: the gradient of a batch, as the model is written or in one compiled piece.

Only these two passes and the loss are compiled. The optimizer keeps its fused kernels, so that learning
rates, schedules and weight decay never reach compiled code: other values of them compile nothing anew.
"""

from __future__ import annotations

import importlib.util
import math
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainers.batches import Batch
from trainers.clock import Clock
from trainers.config import TrialConfig
from trainers.device import autocast, casts
from trainers.errors import SettingError
from trainers.losses import Loss
from trainers.memory import is_out_of_memory
from trainers.parts.penalties import l1_penalty

LONG = 300_000
"""Steps from which on `compile = "auto"` compiles on a CPU: by then what steps save has paid for compiling
even small models with an empty cache. Measured, see `benchmarks/RESULTS.md`."""

Facts = dict[str, float | int | str]

Gradient = tuple[Tensor, tuple[Tensor | None, ...]]
"""The loss of some samples, and what its weighted value gives each trainable parameter."""

Passed = tuple[Tensor, tuple[Tensor, Batch] | None]
"""The loss of a whole batch; of one in several parts the loss and the data of the last part, too."""


class Passes:
    """Puts the gradient of a batch on the parameters of a model; `steps` is how many the training has.

    `why_not` says why nothing is compiled, and is empty where it is, or was not asked for.

    Raises: SettingError where it was asked for and cannot be done here.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        config: TrialConfig,
        *,
        device: torch.device,
        steps: int,
        clock: Clock,
    ) -> None:
        self._model, self._loss = model, loss
        self._config, self._device = config, device
        self._casts = casts(device, config.precision)
        self._trainable = [p for p in model.parameters() if p.requires_grad]
        self._whole = torch.tensor(1.0)
        self._l1 = torch.tensor(config.l1) if config.l1 else None
        self.why_not = _why_not(config, device, steps)
        self._gradient = _compiler() if config.compile is not False and not self.why_not else None
        self._clock, self._is_ready = clock, False
        self._is_fresh = False  # what earlier trainings had compiled was let go for this one
        self._told: Facts = {}

    @property
    def is_compiled(self) -> bool:
        """Whether compiled code is used, so far as it can be."""
        return self._gradient is not None

    def run(self, parts: list[tuple[Tensor, ...]], *, as_written: bool) -> Passed:
        """One pass forward and backward for each part, whose loss counts by its share of the samples.

        `as_written` is for steps at which hooks have to see what happens inside of the model. The gradients
        are to be empty before. What a compiler cannot do is done as written from then on.
        """
        if self._gradient is None or as_written:
            return self._all(parts, self._written)
        found = self._tried(parts)
        if found is not None and (not found[0].is_cpu or math.isfinite(found[0].item())):
            return found
        self._clear()
        return self._all(parts, self._written)  # so that what watches the model sees it happen

    def news(self) -> Facts:
        """The facts about compiling, once whenever they change; none where nobody asked for it."""
        facts: Facts = {}
        if self._config.compile is not False:
            facts["compiled"] = int(self.is_compiled)
        if self.why_not:
            facts["not_compiled"] = self.why_not
        new = facts if facts != self._told else {}
        self._told = facts
        return new

    def state_dict(self) -> dict[str, Any]:
        """What it has learnt: whether it gave up, and what it has told."""
        return {"why_not": self.why_not, "told": dict(self._told)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; what could not be compiled then is not tried again."""
        self._told = dict(state["told"])
        if state["why_not"]:
            self._give_up(state["why_not"])

    def _clear(self) -> None:
        for parameter in self._trainable:
            parameter.grad = None

    def _give_up(self, why: str) -> None:
        self.why_not, self._gradient = why, None

    def _tried(self, parts: list[tuple[Tensor, ...]]) -> Passed | None:
        """By compiled code, which is made first where there is none; None when that cannot be done."""
        try:
            if self._is_ready:
                return self._all(parts, self._compiled)
            with self._clock.pause():  # a step's time is not that of a compiler
                found = self._all(parts, self._compiled)
            self._is_ready = True
        except Exception as error:
            if is_out_of_memory(error) or not _is_of_compiler(error):
                raise
            if self._is_fresh or not isinstance(error, torch._dynamo.exc.FailOnRecompileLimitHit):
                self._give_up(_in_words(error))
                return None
        else:
            return found
        torch.compiler.reset()  # too many models of other shapes were compiled before this one
        self._is_fresh, self._is_ready = True, False
        self._clear()
        return self._tried(parts)

    def _all(
        self, parts: list[tuple[Tensor, ...]], gradient: Callable[[Tensor, Tensor, float, bool], Tensor]
    ) -> Passed:
        samples = sum(len(y) for _, y in parts)
        total: Tensor | None = None
        for x, y in parts:
            share = len(y) / samples
            loss = gradient(x, y, share, total is None)  # the penalty counts once in a step
            weighted = loss * share if len(parts) > 1 else loss
            total = weighted if total is None else total + weighted
        assert total is not None
        return total, (loss, (x, y)) if len(parts) > 1 else None

    def _written(self, x: Tensor, y: Tensor, share: float, first: bool) -> Tensor:
        with autocast(self._device, self._config.precision):
            loss = self._loss(self._model(x), y)
        weighted = loss * share if share < 1 else loss
        if self._config.l1 and first:
            weighted = weighted + self._config.l1 * l1_penalty(self._trainable)
        weighted.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _compiled(self, x: Tensor, y: Tensor, share: float, first: bool) -> Tensor:
        assert self._gradient is not None
        if len(x) == 1:  # compilers take a single sample for another shape
            return self._written(x, y, share, first)
        for tensor in (x, y):
            torch._dynamo.maybe_mark_dynamic(tensor, 0)  # the last batch may be smaller
        weight = torch.tensor(share) if share < 1 else self._whole
        l1 = self._l1 if first else None
        loss, gradients = self._gradient(self._model, self._loss, x, y, weight, l1, self._casts)
        for parameter, gradient in zip(self._trainable, gradients, strict=True):
            _add(parameter, gradient)
        return loss


def _add(parameter: Tensor, gradient: Tensor | None) -> None:
    """Do what `backward` does: fused optimizers rely on gradients that lie as their parameters do."""
    if gradient is None:
        return
    if parameter.grad is not None:
        parameter.grad += gradient
    elif gradient.stride() == parameter.stride():
        parameter.grad = gradient
    else:
        parameter.grad = torch.empty_like(parameter).copy_(gradient)


def _of_batch(
    model: nn.Module, loss: Loss, x: Tensor, y: Tensor, share: Tensor, l1: Tensor | None, cast: bool
) -> Gradient:
    """What is compiled; numbers that differ between trials come as tensors, the model as an argument."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.autocast(x.device.type, torch.bfloat16, enabled=cast):
        value = loss(model(x), y)
    weighted = value * share
    if l1 is not None:
        weighted = weighted + l1 * l1_penalty(parameters)
    return value.detach(), torch.autograd.grad(weighted, parameters, allow_unused=True)


_compiled_once: list[Callable[..., Gradient]] = []


def _compiler() -> Callable[..., Gradient]:
    """`_of_batch`, compiled when it is called; one for all trainings of a process, so that a model of the
    same shape finds what the one before it has left."""
    if not _compiled_once:
        torch._dynamo.config.trace_autograd_ops = True
        options: dict[str, Any] = {
            "fallback_random": True,  # the same random numbers as uncompiled
            "compile_threads": 1,  # no processes of its own: there is a worker for each core already
        }
        _compiled_once.append(torch.compile(_of_batch, fullgraph=True, dynamic=False, options=options))
    return _compiled_once[0]


def _why_not(config: TrialConfig, device: torch.device, steps: int) -> str:
    if config.compile is False:
        return ""
    problem = _problem(device)
    if config.compile is True and problem:
        raise SettingError({"compile": f'{problem}; choose false, or "auto" to compile where it can be'})
    if config.compile is True:
        return ""
    if device.type != "cpu":
        return problem or f"whether it pays on {device.type} was never measured; true does it all the same"
    short = f"{steps} steps are too few to pay for it, {LONG} are enough" if steps < LONG else ""
    return problem or short


def _problem(device: torch.device) -> str:
    """What this machine lacks; empty when it has all that is needed."""
    if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
        return f"torch {torch.__version__} cannot compile both passes in one piece"
    if device.type == "cpu":
        named = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
        there = shutil.which(shlex.split(named)[0])
        return "" if there else f"there is no C++ compiler {named!r}; install it, or name another one by CXX"
    if device.type == "cuda":
        has_triton = importlib.util.find_spec("triton") is not None
        return "" if has_triton else "on CUDA torch compiles by triton, which is not installed"
    return f"there is no compiler for {device.type!r}"


def _is_of_compiler(error: Exception) -> bool:
    exc = torch._dynamo.exc
    return isinstance(error, exc.TorchDynamoException | exc.FailOnRecompileLimitHit)


def _in_words(error: Exception) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"the compiler gave up: {type(error).__name__}: {line.strip()}"
