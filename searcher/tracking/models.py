"""A trial's best weights as an MLflow model: a traced graph that loads without this package."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL = "model"
"""The model's name at its run: `mlflow.pyfunc.load_model("runs:/RUN/model")`."""


def models_of(run: Run) -> list[str]:
    """The ids of the models that were logged for a run."""
    return [entry.model_id for entry in run.outputs.model_outputs] if run.outputs else []


def log_model(client: MlflowClient, run: Run, weights: Path) -> None:
    """Log the model whose weights a trial kept, with its signature, unless that was done before.

    A model that torch cannot trace is left as its weights: the run gets a tag that says why.
    """
    if models_of(run) or MODEL in run.data.tags:
        return
    run_id = str(run.info.run_id)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / MODEL
        try:
            _save(weights, place)
        except Exception as error:  # own models can be anything; the record of the trial is whole without
            client.set_tag(
                run_id, MODEL, f"not logged, only its weights: {type(error).__name__}: {error}"[:500]
            )
            client.log_artifact(run_id, str(weights))
            return
        _log(client, run, place)


def _log(client: MlflowClient, run: Run, place: Path) -> None:
    from mlflow.entities import LoggedModelOutput

    run_id = str(run.info.run_id)
    model = client.create_logged_model(
        run.info.experiment_id,
        name=MODEL,
        source_run_id=run_id,
        params=dict(run.data.params),
        model_type="pytorch",
    )
    client.log_model_artifacts(model.model_id, str(place))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])


def _save(weights: Path, place: Path) -> None:
    import mlflow.pytorch
    import torch
    from mlflow.models import infer_signature

    from trainers.checkpoint import load_model

    model, shapes = load_model(weights)
    dtype = torch.int64 if shapes.kind == "tokens" else torch.float32
    example = torch.zeros((2, *shapes.inputs), dtype=dtype)
    with torch.no_grad():
        answer = model(example)
    signature: Any = infer_signature(example.numpy(), answer.numpy())
    version = torch.__version__.split("+")[0]
    logging.getLogger("torch.export").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            model,
            str(place),
            signature=signature,
            input_example=example.numpy(),
            pip_requirements=[f"torch=={version}"],
        )
