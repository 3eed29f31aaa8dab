"""Studies opened in Optuna's store: made, checked for fit with their study file, or found by name."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from searcher.addresses import hide_passwords
from searcher.errors import NotFound, StudyChanged
from searcher.identity import changes_between
from searcher.lock import is_held, sqlite_file
from searcher.samplers import build_sampler
from searcher.space import distributions, unconditional
from searcher.spec import StudySpec, parse_spec, read_spec
from searcher.storage import open_storage, translated
from searcher.store import SPEC, StudyStore
from trainers.choices import choices


def open_study(spec: StudySpec, url: str) -> StudyStore:
    """The study of `spec`, created when it is new.

    Raises: StudyChanged when trials recorded under its name came from another study file.
    """
    with translated(url):
        storage = open_storage(url)
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
        return StudyStore(study, storage, spec)


def _create_study(spec: StudySpec, storage: RDBStorage) -> optuna.Study:
    space, search = distributions(spec), spec.search
    sampler = search.sampler
    return optuna.create_study(
        storage=storage,
        study_name=spec.name,
        direction=spec.metric.goal,
        sampler=build_sampler(sampler.name, sampler.options, search.seed, space, unconditional(spec)),
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
