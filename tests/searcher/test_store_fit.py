"""Whether a study file fits what is recorded, and stores that are not there or cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from diagnostics import Report, Verdict
from searcher.errors import NotFound, StorageError, StudyChanged
from searcher.opening import load_study, open_study, recorded_names
from searcher.spec import StudySpec
from searcher.store import StudyStore
from searcher.trial import Outcome, TrialResult

Make = Callable[..., StudySpec]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def train(store: StudyStore) -> None:
    """One finished trial."""
    trial, point = store.ask()
    result = TrialResult(
        trial.number,
        dict(point.sampled),
        tuple(point.sampled),
        (),
        Outcome.COMPLETED,
        Report(Verdict.CONVERGED, ()),
    )
    store.tell(trial, replace(result, value=0.5))


X = "{'low': 0.0, 'high': 1.0}"
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"train": {"epochs": 9}}, "train.epochs: recorded nothing, now 9"),
    ({"train": {"trainer": "a:b"}}, "train.trainer: recorded own_trainers:quick, now a:b"),
    ({"space": {"x": {"low": 0.5, "high": 1.0}}}, f"space.x: recorded {X}, now {X.replace('0.0', '0.5')}"),
    (
        {"space": {"x": {"low": 0.0, "high": 1.0}, "y": [1]}},
        "space.y: recorded nothing, now {'choices': [1]}",
    ),
    ({"space": {"y": [1, 2]}}, f"space.x: recorded {X}, now nothing"),
    ({"metric": {"name": "val_rmse"}}, "metric.name: recorded val_loss, now val_rmse"),
    ({"metric": {"goal": "maximize"}}, "metric.goal: recorded minimize, now maximize"),
    ({"search": {"seed": 7}}, "search.seed: recorded 0, now 7"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_changed_study_is_refused_and_says_what_differs(
    make_spec: Make, url: str, change: dict[str, Any], message: str
) -> None:
    train(open_study(make_spec(), url))
    before = load_study("own", url).results()
    with pytest.raises(StudyChanged) as caught:
        open_study(make_spec(**change), url)
    assert f"  {message}" in str(caught.value).splitlines()
    assert str(caught.value).endswith("undo the change, or start a new study with: --name own-2")
    assert load_study("own", url).results() == before and load_study("own", url).spec == make_spec()
    train(open_study(make_spec(name="own-2", **change), url))
    assert set(recorded_names(url)) == {"own", "own-2"}


@pytest.mark.parametrize(
    "change",
    [
        {"search": {"trials": 99}},
        {"search": {"hours": 1.0}},
        {"search": {"pruner": "median"}},
        {"search": {"sampler": "tpe"}},
        {"dispatch": {"slots": 3}},
        {"question": "why?"},
        {"train": {"data_dir": "/elsewhere"}},
        {"train": {"device": "cpu"}},
        {"train": {"threads": 2}},
    ],
)
def test_changes_that_leave_the_trials_comparable_are_allowed(
    make_spec: Make, url: str, change: dict[str, Any]
) -> None:
    train(open_study(make_spec(), url))
    changed = make_spec(**change)
    assert len(open_study(changed, url).results()) == 1
    assert load_study("own", url).spec == changed


def test_a_study_without_trials_may_change_freely(make_spec: Make, url: str) -> None:
    """A study that could never train has nothing that a change could make incomparable."""
    open_study(make_spec(), url)
    changed = make_spec(train={"epochs": 9})
    assert open_study(changed, url).spec == changed
    assert load_study("own", url).spec == changed


def test_studies_that_are_not_recorded(make_spec: Make, url: str) -> None:
    open_study(make_spec(name="digits-mlp"), url)
    with pytest.raises(NotFound, match=r"no study 'digit-mlp' is recorded in .*did you mean 'digits-mlp'"):
        load_study("digit-mlp", url)
    optuna.create_study(study_name="foreign", storage=url)
    with pytest.raises(NotFound, match=r"'foreign' .*was not made by searcher"):
        load_study("foreign", url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///no/such/folder/studies.db", "unable to open database file; its folder must exist"),
        ("nonsense", "Could not parse SQLAlchemy URL"),
        ("oracle-of-delphi://here/db", "oracle"),
    ],
)
def test_stores_that_cannot_be_used(make_spec: Make, url: str, message: str) -> None:
    for use in (
        lambda: open_study(make_spec(), url),
        lambda: load_study("own", url),
        lambda: recorded_names(url),
    ):
        with pytest.raises(StorageError) as caught:
            use()
        assert str(caught.value).startswith(f"the study store {url} cannot be used: ")
        assert message in str(caught.value) and "--storage" in str(caught.value)


def test_a_store_in_a_folder_that_cannot_be_written(make_spec: Make) -> None:
    url = "sqlite:////proc/studies.db"
    with pytest.raises(StorageError, match="unable to open database file; its folder must exist and be wri"):
        open_study(make_spec(), url)
    assert recorded_names(url) == []


def test_asking_for_what_is_recorded_leaves_no_trace(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    assert recorded_names(url) == []
    with pytest.raises(NotFound, match=r"no study 'own' is recorded in .*: nothing is"):
        load_study("own", url)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(make_spec: Make, tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_text("dear diary\n" * 200)
    with pytest.raises(StorageError, match="file is not a database"):
        open_study(make_spec(), f"sqlite:///{tmp_path / 'studies.db'}")


def test_passwords_are_not_shown(make_spec: Make) -> None:
    with pytest.raises(StorageError) as caught:
        open_study(make_spec(), "postgresql+psycopg://me:secret@127.0.0.1:1/studies")
    assert "secret" not in str(caught.value) and "me:***@127.0.0.1" in str(caught.value)
