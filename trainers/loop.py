"""The training loop: `train(config)` yields `Progress`; whoever iterates decides how far it goes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from diagnostics import Monitor
from diagnostics.measuring.cadence import Fixed
from trainers.batches import Batch, in_order, place, shuffled, some
from trainers.checkpoint import Weights, save_weights
from trainers.choices import unknown
from trainers.config import TrialConfig
from trainers.data import load_data
from trainers.device import autocast, choose_device, memory_format, peak_memory
from trainers.errors import SettingError
from trainers.facts import known_facts
from trainers.losses import evaluate, goal_of, loss_function, metric_names
from trainers.models import build_model
from trainers.parts.averaging import average_weights
from trainers.parts.optimizers import build_optimizer, set_learning_rates
from trainers.parts.penalties import l1_penalty
from trainers.parts.schedules import learning_rate_factor
from trainers.progress import Progress
from trainers.seeds import seed_everything
from trainers.shapes import Shapes

LONG_EPOCH = 20_000
"""Samples in an epoch for each of which one evaluation is due (house rule)."""

EVALUATIONS = 10
"""Most evaluations in an epoch."""

REPORTS = 5
"""Messages for every evaluation, so that a training that goes wrong is seen before the next one."""

LONGEST_SILENCE = 50
"""Steps without a message, at most."""

EVALUATION_BATCH = 128
"""Samples evaluated at once, or as many as are trained on at once."""


def train(config: TrialConfig) -> Iterator[Progress]:
    """Train one model. The first message brings the facts; each evaluation and, between them, every
    few steps bring one more. When it ends by itself, the kept weights lie in `config.folder`.

    Raises: SettingError, DataError or OwnCodeError before the first step.
    """
    training = Training(config)
    with training.monitor:
        yield Progress(0, 0.0, config.epochs, facts=training.facts)
        for batch in training.batches():
            training.step(batch)
            if training.evaluation_is_due:
                yield training.evaluated()
                if training.has_lost_patience:
                    break
            elif training.message_is_due:
                yield training.progress()
    training.finish()


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
        _check_fit(config, splits.shapes)
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
        self.order = torch.Generator().manual_seed(config.seed)
        self.steps_per_epoch = math.ceil(len(self.train_data) / config.batch_size)
        self.evaluations = _evaluations(config, len(self.train_data))
        self.message_every = _message_every(self.steps_per_epoch / self.evaluations)
        self.steps = 0
        self.clock = _Clock()
        self.best = _Best(config)
        facts = known_facts(config, splits, self.steps_per_epoch)
        classes = self.shapes.outputs if self.task == "classification" else None
        cadence = Fixed()  # by the step alone: a trial can be repeated exactly
        self.monitor = Monitor(
            self.model, self.optimizer, task=self.task, num_classes=classes, cadence=cadence, facts=facts
        )
        self.facts = facts | {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "evaluations_per_epoch": self.evaluations,
            "device": str(self.device),
        }

    def batches(self) -> Iterator[Batch]:
        """The batches of every epoch, in an order of their own each."""
        config = self.config
        self.model.train()
        for _ in range(config.epochs):
            yield from shuffled(
                self.train_data, config.batch_size, self.device, self.order, config.augmentation
            )

    def step(self, batch: Batch) -> None:
        """One step of the optimizer."""
        config, x, y = self.config, *batch
        self.clock.step()
        total = config.epochs * self.steps_per_epoch
        factor = learning_rate_factor(self.steps, total, self.steps_per_epoch, config)
        set_learning_rates(self.optimizer, factor)
        self.optimizer.zero_grad()
        with autocast(self.device, config.precision):
            loss = self.loss(self.model(x), y)
        penalised = loss + config.l1 * l1_penalty(self.model.parameters()) if config.l1 else loss
        penalised.backward()  # type: ignore[no-untyped-call]
        norm = None
        if config.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.monitor.step(loss, batch, grad_norm=norm)
        self.steps += 1

    @property
    def evaluation_is_due(self) -> bool:
        """Whether the step just done ends one of the epoch's equal parts."""
        done = self.steps * self.evaluations
        return done // self.steps_per_epoch > (done - self.evaluations) // self.steps_per_epoch

    @property
    def message_is_due(self) -> bool:
        """Whether it is time to say how it goes."""
        return self.steps % self.message_every == 0

    @property
    def has_lost_patience(self) -> bool:
        """Whether the best evaluation is too long ago."""
        return self.config.patience is not None and self.best.age >= self.config.patience

    def progress(self) -> Progress:
        """What was measured since the last message."""
        signals = self.monitor.take()  # waits for the device, and nothing else between two messages does
        self.clock.stop()
        return Progress(self.steps, self._epochs_done, self.config.epochs, signals=signals)

    def evaluated(self) -> Progress:
        """What was measured since the last message, and an evaluation on train and validation data."""
        signals = self.progress().signals
        model = self.model if self.average is None else self.average.module
        metrics: dict[str, float] = {}
        losses: list[Tensor] | None = [] if self._has_sample_losses else None
        with autocast(self.device, self.config.precision):
            for name, split, kept in (("train", self.train_sample, losses), ("val", self.val_data, None)):
                batches = in_order(split, max(EVALUATION_BATCH, self.config.batch_size), self.device)
                found = evaluate(model, batches, self.task, kept)
                metrics |= {f"{name}_{metric}": value for metric, value in found.items()}
        self.best.note(metrics, model)
        each = None if losses is None else torch.cat(losses).cpu().numpy()
        self.monitor.evaluate(**metrics, train_losses=each)
        signals = signals.extend(self.monitor.take())
        facts = {"step_seconds": self.clock.take(), "peak_memory_mb": peak_memory(self.device)}
        return Progress(self.steps, self._epochs_done, self.config.epochs, metrics, signals, facts)

    def finish(self) -> None:
        """Write the kept weights."""
        if self.config.folder is not None and self.best.weights is not None:
            path = Path(self.config.folder) / "weights.pt"
            save_weights(path, self.best.weights, self.config, self.shapes)

    @property
    def _has_sample_losses(self) -> bool:
        """Whether each training sample has one loss, which tells wrong labels from right ones."""
        return self.task == "classification" and self.shapes.kind != "tokens"

    @property
    def _epochs_done(self) -> float:
        return self.steps / self.steps_per_epoch


class _Clock:
    """Times the steps between two evaluations, and nothing but them."""

    def __init__(self) -> None:
        self._seconds, self._steps = 0.0, 0
        self._started: float | None = None

    def step(self) -> None:
        """A step begins."""
        self._steps += 1
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """What follows is no step."""
        if self._started is not None:
            self._seconds += time.perf_counter() - self._started
            self._started = None

    def take(self) -> float:
        """Seconds per step since the last take."""
        seconds = self._seconds / self._steps
        self._seconds, self._steps = 0.0, 0
        return seconds


class _Best:
    """The evaluation to keep: the best one by a metric, or the last."""

    def __init__(self, config: TrialConfig) -> None:
        self._metric = config.best_by
        self._sign = 1.0 if goal_of(config.best_by) == "minimize" else -1.0
        self._last = config.keep == "last"
        self._value = math.inf
        self.weights: Weights | None = None
        self.age = 0

    def note(self, metrics: dict[str, float], model: nn.Module) -> None:
        """Look at an evaluation; remember the weights when they are the ones to keep."""
        value = self._sign * metrics.get(self._metric, math.inf)
        better = value < self._value
        self.age = 0 if better else self.age + 1
        self._value = min(value, self._value)
        if better or self._last:
            self.weights = {name: tensor.to("cpu", copy=True) for name, tensor in model.state_dict().items()}


def _check_fit(config: TrialConfig, shapes: Shapes) -> None:
    """Raises: SettingError for settings that mean nothing for such data."""
    mistakes: dict[str, str] = {}
    known = metric_names(shapes.task, shapes.kind)
    if config.best_by not in known:
        mistakes["best_by"] = f"for a {shapes.task} of {shapes.kind} {unknown(config.best_by, known)}"
    if config.augmentation != "none" and shapes.kind != "image":
        mistakes["augmentation"] = (
            f"{config.augmentation!r} is for images, but the data are {shapes.kind}; choose 'none'"
        )
    if config.label_smoothing and shapes.task == "regression":
        mistakes["label_smoothing"] = "is for classes, but the task is a regression; choose 0"
    if mistakes:
        raise SettingError(mistakes)


def _evaluations(config: TrialConfig, samples: int) -> int:
    """Evaluations in an epoch; the same for every trial of a study, whatever its batch size."""
    wanted = config.evaluations_per_epoch or round(samples / LONG_EPOCH)
    return max(1, min(wanted, EVALUATIONS if config.evaluations_per_epoch is None else wanted))


def _message_every(steps_per_evaluation: float) -> int:
    return max(1, min(round(steps_per_evaluation / REPORTS), LONGEST_SILENCE))
