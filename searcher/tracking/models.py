"""A trial's best weights as an MLflow model: a traced graph that loads without this package."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL = "model"
"""Where the model lies among a run's artifacts: `mlflow.pyfunc.load_model("runs:/RUN/model")`."""


def log_model(client: MlflowClient, run_id: str, weights: Path) -> None:
    """Log the model whose weights a trial kept, with its signature, unless that was done before.

    A model that torch cannot trace is left as its weights: the run gets a tag that says why.
    """
    if any(file.path == MODEL for file in client.list_artifacts(run_id)):
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / MODEL
        try:
            _save(weights, place)
        except Exception as error:  # own models can be anything; the record of the trial is whole without
            client.set_tag(
                run_id, "model", f"not logged, only its weights: {type(error).__name__}: {error}"[:500]
            )
            client.log_artifact(run_id, str(weights))
            return
        client.log_artifacts(run_id, str(place), MODEL)


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
