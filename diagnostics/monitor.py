"""`Monitor`: the public face of the diagnostics for any PyTorch loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Self

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from diagnostics.diagnose import diagnose
from diagnostics.findings import UNMEASURED, Facts, Report
from diagnostics.measuring import sites
from diagnostics.measuring.answers import AnswerWatch, answer_row, width_of
from diagnostics.measuring.batch import BatchWatch, parts
from diagnostics.measuring.cadence import Cadence, cadence_of, continuable
from diagnostics.measuring.everystep import BUFFER, EveryStep, held
from diagnostics.measuring.figures import pack
from diagnostics.measuring.given import (
    check_model,
    metric_value,
    one_number,
    plain_facts,
    sample_losses,
    several_optimizers,
)
from diagnostics.measuring.groups import two_groups
from diagnostics.measuring.hooks import Guard
from diagnostics.measuring.modes import describe_model, describe_optimizers
from diagnostics.measuring.probe import Probe
from diagnostics.measuring.recorder import Recorder
from diagnostics.measuring.states import on_host
from diagnostics.signals import Series, Signals


class Monitor:
    """Watches a training from inside its loop; never changes it.

    `optimizer` is one or several; `task` says what the loss means: `classification`, `regression`, or
    `other` for one without a level, such as a reward or a game of two models. `num_classes` makes label
    figures possible before the first answer is seen. `preset` (`light`, `normal`, `thorough`) is the share of
    the training's time that measuring may take: 0.3, 1 or 5 %; or `cadence` says it in another way (see
    `diagnostics.measuring.cadence`). `facts` are things only the loop knows, such as `clip_norm`.

    Raises: ValueError for a task, a preset or a number of classes that is none, or a model without shapes
    yet; TypeError for something that is no model, no optimizer or no fact.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Iterable[Optimizer],
        *,
        task: str = "classification",
        num_classes: int | None = None,
        preset: str = "normal",
        cadence: Cadence | None = None,
        facts: Facts | None = None,
    ) -> None:
        self._optimizers = several_optimizers(optimizer)
        self._first = self._optimizers[0]
        check_model(model, task, num_classes)
        self._cadence = cadence_of(preset) if cadence is None else cadence
        self._guard = Guard()
        self._probe = Probe(model, self._optimizers, self._guard)
        self._task = task
        self._batches = BatchWatch(task, int(num_classes) if num_classes else None)
        self._recorder = Recorder()
        self._recorder.facts |= {
            "task": task,
            **({"outputs": int(num_classes)} if num_classes else {}),
            **describe_model(self._probe.model),
            **describe_optimizers(self._optimizers, self._probe.model),
            **plain_facts(facts or {}),
        }
        self._answers = AnswerWatch(model, self._probe, self._guard, looks=preset == "thorough")
        self._every = EveryStep()
        self._note = (
            self._every.add
        )  # on the way of every step: nothing is looked up that can be known before
        self._step = 0
        self._taken: dict[str, int] = {}  # rows of each signal that `take` has given
        self._all = Signals()
        self._closed = False
        self._arm(False)

    def begin(self, parts: int = 1) -> None:
        """Say that a step begins, or begins anew: what its passes have shown so far is forgotten.

        Only needed where a step is tried again after an error, or where its batch goes through the model in
        several equal `parts`, from this step on until it is said again.
        """
        self._probe.forward.again(parts)

    def step(
        self,
        loss: Tensor | float,
        batch: Any = None,
        *,
        grad_norm: Tensor | float | None = None,
        last: tuple[Tensor | float, Any] | None = None,
    ) -> None:
        """Say that one step of the optimizer is done.

        `loss` is the training loss of this step (one number); `batch` its inputs and targets; `grad_norm`
        what the gradient measured before it was clipped, as `clip_grad_norm_` returns it. `last` is needed
        where the batch went through the model in parts: the loss and the inputs and targets of the last
        part, with which its answers are compared.

        Raises: TypeError when the loss is no number, ValueError when it is more than one.
        """
        answers, step = self._answers, self._step
        try:
            value = loss.item() if type(loss) is Tensor and loss.is_cpu else one_number(loss)
        except RuntimeError:
            value = one_number(loss)  # it says what is wrong
        if type(value) is not float or value - value != 0 or answers.suspects:  # infinity less itself is NaN
            value = self._looked_at(one_number(value), batch)
        answers.newest = None
        rate = self._first.param_groups[0].get("lr")
        if type(rate) is Tensor:
            rate = held(rate)
        if grad_norm is not None:
            grad_norm = held(one_number(grad_norm, "gradient norm"))
        self._note((step, value, rate, grad_norm))
        self._step = step = step + 1
        if step == self._question:
            self._plan(batch, (value, batch) if last is None else last)

    def evaluate(self, **metrics: Any) -> None:
        """Say what an evaluation found: any `train_...` and `val_...` figures, such as `val_loss=0.4`.

        `train_losses` may be the loss of every training sample, `[samples]`: it shows labels that are wrong.

        Raises: ValueError for a name that says of neither split, or a value that is no number.
        """
        step = max(self._step - 1, 0)
        each = metrics.pop("train_losses", None)
        found = {name: metric_value(name, value) for name, value in metrics.items() if value is not None}
        if each is not None:
            found |= two_groups(sample_losses(each))
        share = self._answers.eval_mode_share()
        if share is not None:
            found["eval_mode_share"] = share
        self._recorder.evaluation(step, found)

    def report(self, ended: str | None = None) -> Report:
        """What the numbers mean so far; `ended` is `finished`, `stopped` or `failed` once it is known."""
        return diagnose(self.signals, {"ended": ended} if ended else {})

    @property
    def signals(self) -> Signals:
        """All rows so far, with the facts."""
        self._flush()
        self._all = self._all.extend(self._recorder.take())
        return self._all

    @property
    def needs_hooks(self) -> bool:
        """Whether the next step has to go through the model as it is written, for hooks to see it happen.

        For a loop that compiles its passes as a function, around the model, and may use it on other steps.
        """
        return self._probe.armed or self._answers.looks

    def take(self) -> Signals:
        """The rows since the last `take`, with the facts: for a loop that streams them elsewhere."""
        everything = self.signals
        known, self._taken = self._taken, {name: len(series) for name, series in everything.items()}
        new = {
            name: Series(series.steps[n:], series.values[n:], series.layers)
            for name, series in everything.items()
            if len(series) > (n := known.get(name, 0))
        }
        return Signals(new, everything.facts)

    def close(self) -> None:
        """Take every hook off; the rows stay, and later steps add only what comes with every step."""
        self._closed = True
        self._answers.close()
        self._probe.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """All that the monitor knows between two steps: with it a training is continued elsewhere.

        Nested dicts, lists, tuples, numbers, texts and tensors, as `torch.save` writes them and
        `torch.load(..., weights_only=True)` reads them. The tensors are the monitor's own: save or copy them
        before the next step.

        Raises: TypeError for a cadence of one's own that has no `state_dict`.
        """
        state = {
            "signals": self.signals.state_dict(),  # first: it brings in what was held back
            "step": self._step,
            "asked": self._asked,
            "question": self._question,
            "taken": dict(self._taken),
            "cadence": continuable(self._cadence).state_dict(),
            "recorder": self._recorder.state_dict(),
            "batches": self._batches.state_dict(),
            "answers": self._answers.state_dict(),
            "probe": self._probe.state_dict(),
            "error": self._guard.error,
        }
        return {name: on_host(part) for name, part in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, with the same model, optimizers and arguments.

        Load it before the first step, after the model and the optimizers have got their own states. Raises:
        TypeError for a cadence of one's own without `load_state_dict`; KeyError for another model.
        """
        state = on_host(dict(state))
        continuable(self._cadence).load_state_dict(state["cadence"])
        self._recorder.load_state_dict(state["recorder"])
        self._batches.load_state_dict(state["batches"])
        self._answers.load_state_dict(state["answers"])
        self._probe.load_state_dict(state["probe"])
        self._all, self._taken = Signals.from_state(state["signals"]), dict(state["taken"])
        self._step, self._asked, self._question = state["step"], state["asked"], state["question"]
        self._guard.error = state["error"]

    def _plan(self, batch: Any, last: tuple[Tensor | float, Any]) -> None:
        """A row where one is due; the cadence is told of the steps since, and asked about the next one."""
        measured = self._probe.armed or self._probe.paired  # on the way of such a step is always a question
        if measured:
            with self._guard("the row of a step"):
                self._record(self._step - 1, batch, *last)
            self._probe.disarm()
        self._cadence.done(measured, self._step - self._asked)
        self._arm(measured)
        if len(self._every) >= BUFFER:
            self._flush()

    def _arm(self, measured: bool) -> None:
        """Hooks on for the next step when it is due, or may make a pair with the one just measured."""
        whole = not self._closed and self._cadence.is_due(self._step)
        if whole or (measured and not self._closed):
            self._probe.arm(whole=whole)
        self._answers.expect(row=self._probe.armed)
        busy = self._probe.armed or self._probe.paired
        self._asked = self._step
        question = self._step + 1 if busy else self._cadence.next_question(self._step)
        self._question = min(question, self._step + BUFFER)

    def _looked_at(self, loss: Tensor | float, batch: Any) -> Tensor | float:
        """The loss; where that needs no waiting, whether it is finite is looked at as well."""
        if isinstance(loss, Tensor) and not self._answers.looks:
            return loss.clone()  # the device may write into the same place on the next step
        value = float(loss)
        if isfinite(value):
            self._answers.forgive()
        elif "non_finite_step" not in self._recorder.facts:
            with self._guard("the origin of a value that is not finite"):
                origin = self._answers.origin(self._step, batch)
                self._recorder.facts |= {"non_finite_step": self._step, "non_finite_origin": origin}
        return value

    def _record(self, step: int, batch: Any, loss: Tensor | float, part: Any) -> None:
        """The row of a step: the answers are those to `part` of the batch, which had this loss."""
        whole, answers = self._probe.armed, self._answers.take()
        if whole and answers is None and batch is not None:  # compiled with the hook inside
            answers = sites.first_tensor(self._probe.replay(*_arguments(batch)))
        row = self._probe.take()
        if whole:
            if "head" not in self._recorder.facts:  # of the first row
                self._recorder.facts = {**self._probe.facts(), **self._recorder.facts}
            row["train_mode"] = float(self._answers.trains)
            row |= answer_row(loss, answers, parts(part)[1], self._task)
            if batch is not None:
                row |= self._batches.figures(batch, width_of(answers, parts(part)[1]))
        if row:
            self._recorder.due(step, *pack(row))

    def _flush(self) -> None:
        """Hand on what came with every step; what is on a device is copied together."""
        for name, (steps, values) in self._every.take().items():
            self._recorder.every_steps(steps, {name: values})
            if name == "loss" and not np.all(np.isfinite(values)):
                self._answers.looks = True  # waiting for the device does not matter any longer
        if self._guard.error:
            self._recorder.facts[UNMEASURED] = self._guard.error


def _arguments(batch: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """How a model is most likely called with a batch."""
    return ((), batch) if isinstance(batch, Mapping) else ((parts(batch)[0],), {})
