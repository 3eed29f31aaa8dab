"""The training loop: `train(config)` yields `Progress`; whoever iterates decides how far it goes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diagnostics import Monitor
from diagnostics.measuring.cadence import Fixed
from trainers.batches import Batch, Shuffled, in_order, place, some
from trainers.best import Best
from trainers.checkpoint import save_weights
from trainers.clock import Clock
from trainers.config import TrialConfig
from trainers.data import Split, load_data
from trainers.device import autocast, choose_device, memory_format, peak_memory
from trainers.facts import PLANNED, Facts, known_facts, origin_of
from trainers.losses import evaluate, loss_function
from trainers.memory import Portions, free, is_out_of_memory
from trainers.models import build_model
from trainers.parts.averaging import average_weights
from trainers.parts.optimizers import build_optimizer, set_learning_rates
from trainers.parts.schedules import learning_rate_factor
from trainers.passes import Passes
from trainers.plan import REPORTS, check_fit, evaluations_per_epoch, message_every
from trainers.progress import Progress
from trainers.seeds import random_states, seed_everything, set_random_states
from trainers.states import Keeper, all_tensors, load_all_tensors


def train(config: TrialConfig) -> Iterator[Progress]:
    """Train one model. The first message brings the facts; each evaluation and, between them, every
    few steps bring one more. When it ends by itself, the kept weights lie in `config.folder`.

    With `config.save_every` its state is kept there as well, and a training that finds its state says all
    that it had said before, and goes on; what follows is what would have followed without an interruption.
    With `config.keep_last_state` that of its end stays: with more epochs it goes on from there.

    Raises: SettingError, DataError or OwnCodeError before the first step.
    """
    training = Training(config)
    with Keeper(config.folder, config.save_every, training.origin, config.state_mb) as keeper:
        training = _continued(training, keeper)
        with training.monitor:
            yield from map(training.as_planned, keeper.told())
            for message in training.messages():
                yield keeper.hear(message)
                keeper.save(training.state_dict)
            if config.keep_last_state:
                keeper.keep_last(training.state_dict)
        training.finish()
        if not config.keep_last_state:
            keeper.forget()


class Training:
    """The state of one training and the few things that can be done with it."""

    def __init__(self, config: TrialConfig) -> None:
        torch.set_num_threads(config.threads)
        self.config = config
        self.device = choose_device(config.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        seed_everything(config.data_seed)
        splits = load_data(config)
        seed_everything(config.seed)  # again: the data may have been drawn just now, or remembered
        check_fit(config, splits.shapes)
        self.shapes, self.task = splits.shapes, splits.shapes.task
        layout = memory_format(self.device, config, splits.train.x.ndim)
        self.model = build_model(config, splits.shapes).to(self.device)
        self.model.to(memory_format=layout)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.model, config)
        self.loss = loss_function(self.task, config)
        self.average = average_weights(self.model, config.ema_decay) if config.ema_decay else None
        self.train_data = place(splits.train, self.device, layout)
        self.val_data = place(splits.validation, self.device, layout)
        self.train_sample = some(self.train_data, len(splits.validation), config.data_seed)
        self.order = Shuffled(
            self.train_data, config.batch_size, self.device, config.seed, config.augmentation
        )
        self.steps_per_epoch = math.ceil(len(self.train_data) / config.batch_size)
        self.evaluations = evaluations_per_epoch(config, len(self.train_data))
        self.message_every = [message_every(self.steps_per_epoch / self.evaluations, n) for n in REPORTS]
        self.steps, self.begun = 0, False  # a training has begun once it has said something
        self.clock = Clock()
        self.best = Best(config)
        self.portions = Portions(config.batch_size, len(self.train_data), config.micro_batch, self.device)
        self._parts = 1  # of the newest step
        self.passes = self._passes()
        facts = known_facts(config, splits, self.steps_per_epoch)
        self.monitor = self._watched(facts)
        self.origin = origin_of(config, facts)
        self.facts = facts | {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "evaluations_per_epoch": self.evaluations,
            "device": str(self.device),
        }

    def _passes(self) -> Passes:
        steps = self.config.epochs * self.steps_per_epoch
        return Passes(self.model, self.loss, self.config, device=self.device, steps=steps, clock=self.clock)

    def _watched(self, facts: Facts) -> Monitor:
        """The monitor, which measures by the step alone: a trial can be repeated exactly."""
        classes = self.shapes.outputs if self.task == "classification" else None
        return Monitor(
            self.model, self.optimizer, task=self.task, num_classes=classes, cadence=Fixed(), facts=facts
        )

    def messages(self) -> Iterator[Progress]:
        """Train to the end, from wherever it stands, and say how it goes."""
        if not self.begun:
            self.begun = True
            facts = {**self.facts, **self._news()}
            yield Progress(0, 0.0, self.config.epochs, facts=facts)
        for batch in self.batches():
            self.step(batch)
            if self.evaluation_is_due:
                yield self.evaluated()
            elif self.message_is_due:
                yield self.progress()

    def as_planned(self, progress: Progress) -> Progress:
        """A message that was said before, when fewer epochs may have been planned than are now."""
        facts = {
            name: self.facts[name] if name in PLANNED else value for name, value in progress.facts.items()
        }
        return replace(progress, of_epochs=self.config.epochs, facts=facts)

    def batches(self) -> Iterator[Batch]:
        """The batches that are left, unless patience is lost; each epoch has an order of its own."""
        self.model.train()
        batches = iter(self.order)
        while self.steps < self.config.epochs * self.steps_per_epoch and not self.has_lost_patience:
            yield next(batches)

    def step(self, batch: Batch) -> None:
        """One step of the optimizer."""
        config = self.config
        self.clock.step()
        total = config.epochs * self.steps_per_epoch
        factor = learning_rate_factor(self.steps, total, self.steps_per_epoch, config)
        set_learning_rates(self.optimizer, factor)
        loss, last = self._gradient(batch)
        norm = None
        if config.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.monitor.step(loss, batch, grad_norm=norm, last=last)
        self.steps += 1

    def _gradient(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, Batch] | None]:
        """The gradient of the whole batch's mean loss, in parts where the memory does not do for all of it.

        Gives the loss, and of several parts the loss and the data of the last one. The running statistics
        of norms see the parts, and may have seen some of what was tried in vain.
        """
        tried = False
        while True:
            parts = self.portions.parts(*batch)
            if tried or len(parts) != self._parts:
                self.monitor.begin(len(parts))
                self._parts = len(parts)
            self.optimizer.zero_grad()
            try:
                return self.passes.run(parts, as_written=self.monitor.needs_hooks)
            except Exception as error:
                if not is_out_of_memory(error) or not self.portions.halve(self.steps, len(batch[0])):
                    raise
            tried = True
            self.optimizer.zero_grad()  # out here nothing refers to what was computed any longer
            free(self.device)

    @property
    def evaluation_is_due(self) -> bool:
        """Whether the step just done ends one of the epoch's equal parts."""
        done = self.steps * self.evaluations
        return done // self.steps_per_epoch > (done - self.evaluations) // self.steps_per_epoch

    @property
    def message_is_due(self) -> bool:
        """Whether it is time to say how it goes."""
        was_evaluated = self.steps * self.evaluations >= self.steps_per_epoch
        return self.steps % self.message_every[was_evaluated] == 0

    @property
    def has_lost_patience(self) -> bool:
        """Whether the best evaluation is too long ago."""
        return self.config.patience is not None and self.best.age >= self.config.patience

    def progress(self) -> Progress:
        """What was measured since the last message."""
        signals = self.monitor.take()  # waits for the device, and nothing else between two messages does
        self.clock.stop()
        facts = self._news()
        return Progress(self.steps, self._epochs_done, self.config.epochs, signals=signals, facts=facts)

    def evaluated(self) -> Progress:
        """What was measured since the last message, and an evaluation on train and validation data."""
        progress = self.progress()
        model = self.model if self.average is None else self.average.module
        trained, each = self._evaluated(model, self.train_sample, self._has_sample_losses)
        validated, _ = self._evaluated(model, self.val_data, False)
        metrics = {f"train_{name}": value for name, value in trained.items()}
        metrics |= {f"val_{name}": value for name, value in validated.items()}
        self.best.note(metrics, model)
        self.monitor.evaluate(**metrics, train_losses=torch.cat(each).cpu().numpy() if each else None)
        signals = progress.signals.extend(self.monitor.take())
        facts = {**progress.facts, **self._news()}
        facts |= {"step_seconds": self.clock.take(), "peak_memory_mb": peak_memory(self.device)}
        return Progress(self.steps, self._epochs_done, self.config.epochs, metrics, signals, facts)

    def _evaluated(self, model: nn.Module, split: Split, each: bool) -> tuple[dict[str, float], list[Tensor]]:
        """The metrics on a split, and, if wanted, the loss of each sample, batch by batch."""

        def run(at_once: int) -> tuple[dict[str, float], list[Tensor]]:
            losses: list[Tensor] = []
            batches = in_order(split, at_once, self.device)
            with autocast(self.device, self.config.precision):
                return evaluate(model, batches, self.task, losses if each else None), losses

        return self.portions.evaluate(run)

    def state_dict(self) -> dict[str, Any]:
        """All that this training is, between two messages; where it is trained is no part of it."""
        return {
            "steps": self.steps,
            "begun": self.begun,
            "model": all_tensors(self.model),
            "average": None if self.average is None else all_tensors(self.average),
            "random": random_states(self.device),
        } | {name: part.state_dict() for name, part in self._stateful.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state_dict` was taken, with the same settings and data."""
        self.steps, self.begun = state["steps"], state["begun"]
        load_all_tensors(self.model, state["model"])
        if self.average is not None:
            load_all_tensors(self.average, state["average"])
        for name, part in self._stateful.items():
            part.load_state_dict(state[name])
        set_random_states(state["random"], self.device)

    @property
    def _stateful(self) -> dict[str, Any]:
        """The parts that know their own state; the optimizer's goes in before the monitor looks at it."""
        return {
            "optimizer": self.optimizer,
            "order": self.order,
            "clock": self.clock,
            "best": self.best,
            "portions": self.portions,
            "passes": self.passes,
            "monitor": self.monitor,
        }

    def finish(self) -> None:
        """Write the kept weights."""
        if self.config.folder is not None and self.best.weights is not None:
            path = Path(self.config.folder) / "weights.pt"
            save_weights(path, self.best.weights, self.config, self.shapes)

    def _news(self) -> Facts:
        """What became known about how the training is carried out since it was last asked for."""
        return {**self.portions.news(self.model), **self.passes.news()}

    @property
    def _has_sample_losses(self) -> bool:
        """Whether each training sample has one loss, which tells wrong labels from right ones."""
        return self.task == "classification" and self.shapes.kind != "tokens"

    @property
    def _epochs_done(self) -> float:
        return self.steps / self.steps_per_epoch


def _continued(training: Training, keeper: Keeper) -> Training:
    """The training where its kept state has it; at its beginning where there is none that can be used."""
    state = keeper.state()
    if state is None:
        return training
    try:
        training.load_state_dict(state)
    except Exception as error:  # own code may be another by now, and half a state is none
        keeper.refuse(error)
        training.monitor.close()
        return Training(training.config)
    return training
