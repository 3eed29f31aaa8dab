"""The data of a trial, as MLflow keeps data sets."""

from __future__ import annotations

import json

from searcher.spec import StudySpec
from searcher.trial import TrialResult


def data_of(spec: StudySpec, result: TrialResult) -> dict[str, str]:
    """The data of a trial for an MLflow dataset: empty when no digest of them is known."""
    digest = result.facts.get("data_digest")
    if digest is None:
        return {}
    name = str(result.settings.get("data") or spec.trainer or "data")
    known = ("task", "outputs", "train_samples", "validation_samples")
    profile = {fact: result.facts[fact] for fact in known if fact in result.facts}
    return {
        "name": name[:500],
        "digest": str(digest)[:36],
        "source_type": "file" if "." in name or "/" in name else "searcher",
        "source": json.dumps({"data": name}),
        "profile": json.dumps(profile),
    }


def digests(spec: StudySpec, result: TrialResult) -> frozenset[str]:
    """The digest of a trial's data, as MLflow keeps it, where it is known."""
    known = data_of(spec, result)
    return frozenset({known["digest"]} if known else ())
