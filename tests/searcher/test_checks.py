"""What the names in a study file mean: settings, choices, conditions, and what does not go together."""

from __future__ import annotations

from typing import Any

import pytest

from searcher.checks import check
from searcher.errors import SpecError
from searcher.spec import parse_spec

GOOD: dict[str, Any] = {
    "name": "s",
    "space": {"learning_rate": {"low": 0.1, "high": 1}},
    "search": {"trials": 1},
}


def meant(**sections: Any) -> dict[str, str]:
    """Mistakes in what the names mean."""
    with pytest.raises(SpecError) as caught:
        check(parse_spec({**GOOD, **sections}, "study.toml"), "study.toml")
    return {mistake.place: mistake.message for mistake in caught.value.mistakes}


@pytest.mark.parametrize(
    ("sections", "place", "message"),
    [
        (
            {"space": {"lerning_rate": {"low": 0.1, "high": 1}}},
            "space.lerning_rate",
            "did you mean 'learning_rate'",
        ),
        ({"train": {"epoch": 3}}, "train.epoch", "did you mean 'epochs'"),
        ({"space": {"activation": ["relu", "rleu"]}}, "space.activation", "did you mean 'relu'"),
        ({"train": {"optimizer": "adams"}}, "train.optimizer", "did you mean 'adam"),
        ({"train": {"epochs": 0}}, "train.epochs", "at least 1, but got 0"),
        ({"space": {"dropout": {"low": 0.0, "high": 1.5}}}, "space.dropout", "but got 1.5"),
        ({"metric": {"name": "val_acuracy"}}, "metric.name", "did you mean 'val_accuracy'"),
        (
            {"metric": {"name": "val_accuracy"}, "train": {"task": "regression"}},
            "metric.name",
            "there is no 'val_accuracy'; known: ",
        ),
        ({"train": {"learning_rate": 0.1}}, "space.learning_rate", "keep one of the two"),
        ({"space": {"micro_batch": [4, 8]}}, "space.micro_batch", "one value in [train]"),
        ({"search": {"trials": 1, "sampler": "tep"}}, "search.sampler", "did you mean 'tpe'?"),
        ({"search": {"trials": 1, "pruner": "asah"}}, "search.pruner", "did you mean 'asha'?"),
        (
            {"search": {"trials": 1, "sampler": {"name": "tpe", "startup": 1}}},
            "search.sampler",
            "did you mean 'n_startup_trials'",
        ),
        (
            {"search": {"trials": 1, "pruner": {"name": "asha", "reduction_factor": 1}}},
            "search.pruner",
            "reduction_factor",
        ),
        ({"search": {"trials": 1, "sampler": "brute-force"}}, "search.sampler", "is a range without steps"),
        (
            {"search": {"trials": 1, "sampler": "grid"}},
            "search.sampler",
            "learning_rate is a range without steps",
        ),
        ({"dispatch": {"launcher": "slurm"}}, "dispatch.launcher", "known: local, inprocess"),
    ],
)
def test_mistakes_of_meaning(sections: dict[str, Any], place: str, message: str) -> None:
    assert message in meant(**sections)[place]


def test_a_condition_on_an_unknown_setting() -> None:
    space = {
        "init_std": {"low": 0.1, "high": 1.0, "when": {"inti": "normal"}},
        "init": ["normal", "orthogonal"],
    }
    message = meant(space=space)["space.init_std"]
    assert "its condition names 'inti'" in message and "did you mean 'init'" in message


def test_a_condition_on_a_value_that_is_never_chosen() -> None:
    space = {
        "init": ["normal", "orthogonal"],
        "init_std": {"low": 0.1, "high": 1.0, "when": {"init": "norml"}},
    }
    message = meant(space=space)["space.init_std"]
    assert "waits for init = 'norml'" in message and "known: normal, orthogonal" in message


def test_conditions_in_a_circle() -> None:
    space = {
        "width": {"choices": [1, 2], "when": {"depth": 1}},
        "depth": {"choices": [1, 2], "when": {"width": 1}},
        "epochs": [1],
    }
    found = meant(space=space)
    assert set(found) == {"space.width", "space.depth"}
    assert "waits, over others, for itself" in found["space.width"]


def test_values_that_do_not_go_together() -> None:
    train = {"data": "fashion-mnist"}
    found = meant(space={"norm": ["none", "instance"], "model": ["cnn", "mlp"]}, train=train)
    assert found == {"space.norm": "'instance' needs a model with pixels (cnn, resnet), but got 'mlp'"}
    space = {
        "dropout": {"low": 0.0, "high": 0.5},
        "dropout_kind": ["dropout", "dropblock"],
        "model": ["cnn", "mlp"],
    }
    assert "'dropblock' needs a model with pixels" in meant(space=space, train=train)["space.dropout_kind"]


def test_a_condition_keeps_values_apart_that_do_not_go_together() -> None:
    space = {"model": ["cnn", "mlp"], "norm": {"choices": ["none", "instance"], "when": {"model": "cnn"}}}
    check(parse_spec({**GOOD, "space": space, "train": {"data": "fashion-mnist"}}, "s"), "s")


@pytest.mark.parametrize(
    ("data", "model", "fitting"), [("diabetes", "cnn", "mlp"), ("tinyshakespeare", "mlp", "rnn, lstm, gru")]
)
def test_a_model_that_cannot_read_the_data(data: str, model: str, fitting: str) -> None:
    message = meant(train={"data": data, "model": model})["train.model"]
    assert f"'{model}' reads" in message and f"'{data}' holds" in message
    assert message.endswith(f"choose from: {fitting}")


def test_one_of_several_searched_models_that_cannot_read_the_data() -> None:
    assert (
        "'cnn' reads image"
        in meant(train={"data": "diabetes"}, space={"model": ["mlp", "cnn"]})["space.model"]
    )


def test_a_mistake_behind_two_conditions_is_found() -> None:
    space = {
        "optimizer": ["adam", "sgd"],
        "warmup_epochs": {"choices": [1], "when": {"optimizer": "sgd"}},
        "epochs": {"choices": [3, 0], "when": {"warmup_epochs": 1}},
    }
    assert "at least 1, but got 0" in meant(space=space)["space.epochs"]
    space["epochs"] = {"choices": [3, 1], "when": {"warmup_epochs": 2}}
    space["warmup_epochs"] = {"choices": [2], "when": {"optimizer": "sgd"}}
    assert "do not fit into 1 epochs" in meant(space=space)["space.warmup_epochs"]


def test_settings_of_own_code_are_not_ours_to_judge() -> None:
    sections = {"train": {"model": "pack.mod:build", "heads": 4}, "space": {"charm": [1, 2]}}
    check(parse_spec({**GOOD, **sections}, "s"), "s")
