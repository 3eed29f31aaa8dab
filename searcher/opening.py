"""Studies opened in Optuna's store: made, checked for fit with their study file, or found by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from searcher.addresses import hide_passwords
from searcher.errors import NotFound, StudyChanged
from searcher.identity import changes_between
from searcher.lock import is_held, sqlite_file
from searcher.sampling import sampler_notes, sampler_of
from searcher.spec import StudySpec, parse_spec, read_spec
from searcher.storage import open_storage, translated
from searcher.store import SPEC, StudyStore
from searcher.tabulated import table_notes
from searcher.trial import searched
from searcher.warmstart import WARM_START, WarmStart, warm_start
from trainers.choices import choices

LISTED = "searcher:listed"
"""The attribute of a trial that was queued from the study file: its point as it stands there."""


def open_study(spec: StudySpec, url: str, earlier: str | None = None) -> StudyStore:
    """The study of `spec`, created when it is new, with the points it lists queued.

    When it is new, the studies of its warm start are looked for in the store `earlier`, by default its own.

    Raises: StudyChanged when trials recorded under its name came from another study file; NotFound and
    SearcherError for a warm start that is not there or does not fit.
    """
    with translated(url):
        storage = open_storage(url)
        source = url if earlier is None else earlier
        is_new = bool(spec.search.warm_start) and spec.name not in recorded_names(url)
        warm = _warm_start(spec, source) if is_new else None  # before anything is written
        study = _create_study(spec, storage)
        recorded = study.user_attrs.get(SPEC)
        before = spec if recorded is None else parse_spec(json.loads(recorded), spec.name)
        if changes := changes_between(before, spec):
            if any(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)):
                raise StudyChanged(
                    f"the study file no longer fits the trials recorded as {spec.name!r}:\n{changes}\n"
                    f"undo the change, or start a new study with: --name {spec.name}-2"
                )
            optuna.delete_study(study_name=spec.name, storage=storage)  # nothing was ever finished in it
            study = _create_study(spec, storage)
        now = spec.model_dump_json()
        if recorded != now:
            study.set_user_attr(SPEC, now)
        store = StudyStore(study, storage, spec)
        with store.exclusive():
            store.notes = (*table_notes(spec), *sampler_notes(spec))
            if spec.search.warm_start:
                store.notes += _begin_warm(study, spec, lambda: warm or _warm_start(spec, source))
            _enqueue_listed(study, spec)
        return store


def _warm_start(spec: StudySpec, source: str) -> WarmStart:
    """What the studies that `spec` names, in the store `source`, have to say to it."""
    stores = [load_study(name, source) for name in dict.fromkeys(spec.search.warm_start)]
    return warm_start(spec, [(store.spec, searched(store.results())) for store in stores])


def _begin_warm(study: optuna.Study, spec: StudySpec, take: Callable[[], WarmStart]) -> tuple[str, ...]:
    """Let earlier trials guide the sampler: those it was begun with, which it takes when it is new.

    What a person is told of them.
    """
    storage, study_id = study._storage, study._study_id
    record = storage.get_study_system_attrs(study_id).get(WARM_START)
    if record is None:
        record = take().to_record()
        storage.set_study_system_attr(study_id, WARM_START, record)
    begun = WarmStart.from_record(record)
    study.sampler = sampler_of(spec, begun.trials(spec))
    return begun.notes


def _enqueue_listed(study: optuna.Study, spec: StudySpec) -> None:
    """Queue the points that the study file lists, but for those that were queued from it before."""
    trials = study.get_trials(deepcopy=False)
    before = [trial.user_attrs[LISTED] for trial in trials if LISTED in trial.user_attrs]
    for point in spec.enqueue:
        if point in before:
            before.remove(point)
        else:
            study.enqueue_trial(dict(point), user_attrs={LISTED: dict(point)})


def _create_study(spec: StudySpec, storage: RDBStorage) -> optuna.Study:
    return optuna.create_study(
        storage=storage,
        study_name=spec.name,
        directions=[metric.goal for metric in spec.metrics],
        sampler=sampler_of(spec),
        load_if_exists=True,
    )


def load_study(name: str, url: str) -> StudyStore:
    """A recorded study. Raises: NotFound with the names that are there."""
    names = recorded_names(url)
    if name not in names:
        which = f"; {choices(name, names)}" if names else ": nothing is"
        raise NotFound(f"no study {name!r} is recorded in {hide_passwords(url)}{which}")
    with translated(url):
        storage = open_storage(url)
        study = optuna.load_study(study_name=name, storage=storage)
        if SPEC not in study.user_attrs:
            raise NotFound(
                f"study {name!r} in {hide_passwords(url)} was not made by searcher: it has no study file on "
                "record"
            )
        return StudyStore(study, storage, parse_spec(json.loads(study.user_attrs[SPEC]), name))


def is_run(store: StudyStore, url: str) -> bool:
    """Whether a coordinator runs the study now."""
    return bool(store.running()) if store.claims.shared else is_held(store.spec.name, url)


def recorded_names(url: str) -> list[str]:
    """The names of all recorded studies; none, and none is made, where there is no store yet."""
    file = sqlite_file(url)
    if file is not None and file.parent.is_dir() and not file.exists():
        return []
    with translated(url):
        return list(optuna.get_all_study_names(open_storage(url)))


def recorded_name(study: str) -> str:
    """The name a study is recorded under, given that or the path of its file."""
    if not study.endswith(".toml") or not Path(study).is_file():
        return study
    return read_spec(Path(study)).name
