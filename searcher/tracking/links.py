"""The links that open a study's saved views on MLflow's pages."""

from __future__ import annotations

from searcher.addresses import without_user
from searcher.defaults import UI_HOST, UI_PORT
from searcher.errors import TrackingError
from searcher.lock import sqlite_file
from searcher.tracking.mlflow_store import connect, translated
from searcher.tracking.views import NAMES, VIEW_TAG, link


def usual_links(uri: str, study: str) -> dict[str, str]:
    """Name of a view -> its link where a server, or `searcher ui` without options, has the pages of a study.

    The views of a study that is being recorded may still have to be written: their ids are known before.
    Empty where nothing is recorded, or what is recorded cannot be read.
    """
    address = without_user(uri) if uri.startswith("http") else f"http://{UI_HOST}:{UI_PORT}"
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        return {}
    try:
        with translated(uri):
            experiment = connect(uri).get_experiment_by_name(study)
    except TrackingError:
        return {}
    if experiment is None:
        return {}
    return {name: link(address, experiment.experiment_id, key) for key, name in NAMES.items()}


def view_links(uri: str, address: str, study: str | None = None) -> dict[str, dict[str, str]]:
    """Study -> name of a view -> its link, on the pages at `address`, for the record at `uri`.

    For all studies, the last changed first, or for one. Empty where nothing is recorded.

    Raises: TrackingError.
    """
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        return {}
    only = None if study is None else f"name = '{study}'"
    with translated(uri):
        client = connect(uri)
        found = client.search_experiments(filter_string=only, order_by=["last_update_time DESC"])
        return {
            experiment.name: {
                name: link(address, experiment.experiment_id, key)
                for key, name in NAMES.items()
                if f"{VIEW_TAG}{key}" in experiment.tags
            }
            for experiment in found
            if any(tag.startswith(f"{VIEW_TAG}searcher-") for tag in experiment.tags)
        }
