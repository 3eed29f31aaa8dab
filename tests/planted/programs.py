"""The healthy base programs, as recipes that faults and oddities change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from planted.data import Data
from planted.models import CharacterModel, Cnn, Look, Mlp, PlainCnn, PlainMlp, Recurrent
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Recipe:
    """Everything one training is made of. The fields after `clip` are where faults set in.

    `rate_at` maps the share of the budget to a factor of the learning rate; `alter_*` change the data,
    the model or one batch; `optimized` names what the optimizer gets; `ending` goes behind the head, as a
    module, or as a call where the model calls its activations; `comparable` is false where the loss is
    another one than the twin's, so that only scores can be compared.
    """

    data: str
    model: str
    width: int
    depth: int
    learning_rate: float
    steps: int
    batch_size: int = 64
    optimizer: str = "adam"
    activation: str = "relu"
    norm: str = ""
    dropout: float = 0.0
    weight_decay: float = 0.0
    momentum: float = 0.9
    loss: str = "cross-entropy"
    smoothing: float = 0.0
    clip: float = 0.0
    scaled: bool = True
    shuffled: bool = True
    l1: float = 0.0
    resets_gradients: bool = True
    trains_in: str = "train"
    evaluates_in: str = "eval"
    rate_at: Callable[[float], float] | None = None
    alter_data: Callable[[Data, torch.Generator], Data] | None = None
    alter_model: Callable[[nn.Module, torch.Generator], None] | None = None
    alter_batch: Callable[[Batch, int, torch.Generator], Batch] | None = None
    optimized: Callable[[nn.Module], list[nn.Parameter]] | None = None
    ending: str = ""
    comparable: bool = True


@dataclass(frozen=True)
class Program:
    """A base program; one that is `held_out` is looked at in the last check only."""

    name: str
    recipe: Recipe
    held_out: bool = False
    traits: frozenset[str] = field(default_factory=frozenset)


FLAT = {"mlp": Mlp, "plain-mlp": PlainMlp}
IMAGES = {"cnn": Cnn, "plain-cnn": PlainCnn}
SEQUENCES = ("rnn", "lstm", "gru")
LETTERS = {"letters-rnn": "rnn", "letters-gru": "gru", "letters-lstm": "lstm"}


def build(recipe: Recipe, data: Data) -> nn.Module:
    """The model of a recipe for its data."""
    single = recipe.loss in ONE_OUTPUT
    outputs = 1 if single else data.outputs
    shape = tuple(data.x.shape[1:])
    w, d = recipe.width, recipe.depth
    look = Look(w, d, outputs, recipe.activation, recipe.norm, recipe.dropout)
    if recipe.model in FLAT:
        return FLAT[recipe.model](data.x[0].numel(), look)
    if recipe.model in IMAGES:
        return IMAGES[recipe.model](shape, look)
    if recipe.model in LETTERS:
        return CharacterModel(LETTERS[recipe.model], data.outputs, w, d, recipe.dropout)
    return Recurrent(recipe.model, shape[-1], w, d, outputs, recipe.dropout)


def traits_of(recipe: Recipe) -> frozenset[str]:
    """Words by which faults and oddities choose their programs."""
    kind = "flat" if recipe.model in FLAT else "image" if recipe.model in IMAGES else "sequence"
    words = {kind, recipe.optimizer, recipe.activation if kind != "sequence" else recipe.model}
    words.add({"mse": "regression", "bce": "one-logit"}.get(recipe.loss, "classes"))
    words |= {"norm", recipe.norm} if recipe.norm else {"no-norm"}
    words |= {"dropout"} if recipe.dropout else set()
    words |= {"letters"} if recipe.model in LETTERS else {"numbers"}
    words |= {"units"} if recipe.data in NATURAL_UNITS else set()
    words |= {"deep"} if recipe.depth >= 4 else set()
    return frozenset(words)


ONE_OUTPUT = ("bce", "mse", "bce-on-probabilities", "mse-broadcast")
"""Losses that want one number per sample."""

NATURAL_UNITS = ("cancer", "wine", "housing", "adult", "digits")
"""Data sets whose inputs are far from unit scale before they are scaled."""


def _program(name: str, recipe: Recipe, held_out: bool = False) -> Program:
    return Program(name, recipe, held_out, traits_of(recipe))


PROGRAMS = {
    program.name: program
    for program in (
        _program("digits-mlp", Recipe("digits", "mlp", 64, 2, 1e-3, 700)),
        _program(
            "digits-sgd",
            Recipe("digits", "plain-mlp", 48, 3, 0.03, 400, optimizer="sgd", batch_size=32),
        ),
        _program(
            "digits-norm",
            Recipe("digits", "mlp", 64, 3, 0.03, 500, optimizer="sgd", norm="batch", dropout=0.3),
        ),
        _program(
            "cancer-deep",
            Recipe("cancer", "mlp", 24, 5, 5e-4, 400, activation="elu", batch_size=32, weight_decay=1e-3),
        ),
        _program(
            "wine-tanh",
            Recipe("wine", "mlp", 16, 2, 0.01, 600, optimizer="sgd", activation="tanh", batch_size=16),
        ),
        _program(
            "diabetes-mlp",
            Recipe(
                "diabetes",
                "mlp",
                8,
                1,
                3e-3,
                600,
                optimizer="sgd",
                batch_size=32,
                loss="mse",
                weight_decay=1e-2,
            ),
        ),
        _program(
            "housing-gelu",
            Recipe("housing", "plain-mlp", 32, 3, 2e-3, 900, activation="gelu", norm="layer", loss="mse"),
        ),
        _program(
            "moons-tanh",
            Recipe("moons", "plain-mlp", 32, 2, 0.1, 900, optimizer="sgd", activation="tanh", loss="bce"),
        ),
        _program(
            "digits-cnn",
            Recipe("digit-images", "cnn", 12, 2, 3e-3, 400, norm="batch", batch_size=32),
        ),
        _program(
            "shapes-cnn",
            Recipe("shapes", "plain-cnn", 12, 2, 0.03, 600, optimizer="sgd", batch_size=32),
        ),
        _program("waves-rnn", Recipe("waves", "rnn", 24, 1, 3e-3, 500)),
        _program("waves-gru", Recipe("waves", "gru", 20, 2, 5e-3, 280)),
        _program("forecast-lstm", Recipe("forecasts", "lstm", 20, 1, 0.01, 450, loss="mse", clip=5.0)),
        _program("letters-gru", Recipe("shakespeare", "letters-gru", 40, 1, 8e-3, 300, batch_size=32)),
        _program(
            "adult-mlp",
            Recipe("adult", "plain-mlp", 24, 2, 1e-3, 600, weight_decay=3e-3),
            held_out=True,
        ),
        _program(
            "fashion-cnn",
            Recipe("fashion", "cnn", 8, 2, 0.03, 450, optimizer="sgd", batch_size=32),
            held_out=True,
        ),
    )
}
