"""A trial's best weights as an MLflow model: a traced graph that loads without this package."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL = "model"
"""The model's name at its run: `mlflow.pyfunc.load_model("runs:/RUN/model")`."""


def models_of(run: Run, names: Mapping[str, str]) -> list[str]:
    """The ids of the models that were logged for a run and are there still: those with `names`."""
    logged = run.outputs.model_outputs if run.outputs else []
    return [entry.model_id for entry in logged if entry.model_id in names]


def names_of_models(client: MlflowClient, experiment: str) -> dict[str, str]:
    """The models of an experiment that were not deleted: id -> name."""
    found: dict[str, str] = {}
    token: str | None = None
    while True:
        page = client.search_logged_models([experiment], page_token=token)
        found |= {model.model_id: model.name for model in page}
        token = page.token
        if not token:
            return found


def has_model(run: Run, names: Mapping[str, str]) -> bool:
    """Whether the trial's own model was logged, or why it could not be; people may log others."""
    return MODEL in run.data.tags or any(names[model] == MODEL for model in models_of(run, names))


def log_model(client: MlflowClient, run: Run, weights: Path) -> None:
    """Log the model whose weights a trial kept, with its signature.

    A model that torch cannot trace is left as its weights: the run gets a tag that says why.
    """
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


def copy_model(client: MlflowClient, uri: str, model_id: str, run: Run) -> None:
    """Log a model once more, for another run."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    old = client.get_logged_model(model_id)
    repository = get_artifact_repository(old.artifact_location, tracking_uri=uri)
    with tempfile.TemporaryDirectory() as folder:
        for entry in repository.list_artifacts():
            repository.download_artifacts(entry.path, folder)  # type: ignore[no-untyped-call]
        _log(client, run, Path(folder), old.name, old.model_type)


def _log(
    client: MlflowClient, run: Run, place: Path, name: str = MODEL, kind: str | None = "pytorch"
) -> None:
    from mlflow.entities import LoggedModelOutput

    run_id = str(run.info.run_id)
    model = client.create_logged_model(
        run.info.experiment_id,
        name=name,
        source_run_id=run_id,
        params=dict(run.data.params),
        model_type=kind,
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
