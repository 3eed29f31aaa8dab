"""The links that open a study's saved views on MLflow's pages."""

from __future__ import annotations

from searcher.lock import sqlite_file
from searcher.tracking.mlflow_store import connect, translated
from searcher.tracking.views import NAMES, VIEW_TAG, link


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
