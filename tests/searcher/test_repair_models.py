"""`searcher repair` and the models that were logged for the best trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from damaged_record import Damaged

Call = Callable[..., Any]

DIGITS = """
name = "mixed"
[train]
data = "digits"
max_samples = 100
width = 4
depth = 1
epochs = 1
[space]
learning_rate = { low = 1e-3, high = 0.1, log = true }
[search]
sampler = "random"
pruner = "none"
trials = 1
[dispatch]
launcher = "inprocess"
"""


def models(of: Damaged) -> list[str]:
    """The ids of all logged models."""
    return [model.model_id for model in of.client.search_logged_models([of.experiment])]


def has_another_param(of: Damaged) -> None:
    run_id = of.run(0).info.run_id
    of.sql("UPDATE params SET value = '0.5' WHERE run_uuid = :run AND key = 'learning_rate'", run=run_id)


@pytest.fixture
def trained(workplace: Path, searcher: Call) -> Damaged:
    """A study with one trial, whose model was logged."""
    Path("study.toml").write_text(DIGITS)
    uri = f"sqlite:///{workplace / 'mlflow.db'}"
    assert searcher("run", "study.toml", "--tracking-uri", uri).code == 0
    return Damaged(workplace)


def test_models_outlive_a_repair(trained: Damaged, call: Call) -> None:
    """With weights a model is logged anew, without them it is copied for the new run."""
    (first,) = models(trained)
    mlflow.set_tracking_uri(trained.uri)
    trained.client.delete_logged_model(first)
    said = call("verify")
    assert said.code == 1 and "trial 0: logged model: expected there, found nothing" in said.out
    assert call("repair").code == 0 and call("verify").code == 0
    (second,) = models(trained)
    has_another_param(trained)
    assert call("repair").code == 0 and call("verify").code == 0
    (third,) = models(trained)
    assert third not in (first, second), "the successor says the right settings"
    Path("searcher-runs/mixed/00000/weights.pt").unlink()
    has_another_param(trained)
    before = trained.run(0).info.run_id
    assert call("repair").code == 0 and call("verify").code == 0
    (fourth,) = models(trained)
    assert fourth != third and trained.run(0).info.run_id != before
    mlflow.pyfunc.load_model(f"runs:/{trained.run(0).info.run_id}/model")


def test_a_model_that_cannot_be_logged_costs_none(
    trained: Damaged, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = models(trained)
    has_another_param(trained)

    def fails(*_: Any) -> None:
        raise RuntimeError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("searcher.tracking.models._log", fails)
        assert call("repair").code == 2
    assert models(trained) == [first]
    assert call("repair").code == 0 and call("verify").code == 0
