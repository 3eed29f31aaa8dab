"""A process that has loaded everything once, and forks to run a study: a run costs no start.

It reads tasks, a line of JSON each, and answers each with a line: the exit code of the fork (negative: the
signal that killed it) and what that left in `answer.json`. Light at its top: workers load it, too.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

LONGEST = 60
"""Seconds that a run may take: one that hangs is ended by SIGALRM."""

WORKER = ("trainers.loop", "searcher.launchers.training", "torch._dynamo", "sklearn.datasets")
COORDINATOR = ("mlflow", "searcher.study", "searcher.record_commands")
"""What is loaded beforehand: what each needs, and what torch and scikit-learn load late."""

ANSWER, LOG = "answer.json", "run.log"


def main() -> None:
    """Answer tasks until there are no more."""
    for module in (*COORDINATOR, *WORKER):
        importlib.import_module(module)
    gc.freeze()  # what is loaded stays shared with the forks
    for line in sys.stdin:
        task = json.loads(line)
        if task.get("workers"):
            _serve_workers()
        child = os.fork()
        if child == 0:
            _do(task)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answer = Path(task["folder"], ANSWER)
        said = json.loads(answer.read_text()) if code == 0 else {}
        print(json.dumps({"code": code, **said}), flush=True)


def _serve_workers() -> None:
    """Have workers forked from a server that has loaded what they need, instead of started anew."""
    multiprocessing.set_forkserver_preload([*WORKER])
    forkserver.ensure_running()


def _do(task: dict[str, Any]) -> None:
    """Do a task in this fork, and leave."""
    code = 1
    try:
        signal.alarm(LONGEST)
        os.chdir(task["folder"])
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.path[:0] = [str(Path(__file__).parent), task["folder"]]
        answer = _make_stores() if task.get("stores") else _run(task)
        Path(ANSWER).write_text(json.dumps(answer))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _make_stores() -> dict[str, Any]:
    """Both stores with their tables, empty: making them takes longer than a study here."""
    from searcher.storage import open_storage
    from searcher.tracking import connect

    open_storage("sqlite:///studies.db").engine.dispose()
    connect(f"sqlite:///{Path.cwd()}/mlflow.db").search_experiments()
    return {}


def _run(task: dict[str, Any]) -> dict[str, Any]:
    """Run the study of this folder, and tell what is recorded; `kill` ends this process on the way."""
    from places import Passed

    from searcher.errors import SearcherError
    from searcher.events import Event, Noted
    from searcher.spec import read_spec
    from searcher.study import Places, run_study

    _use_served_workers()
    _make_hard(task)
    kill, away = task.get("kill"), task.get("away")
    passed = Passed(kill and tuple(kill), away and tuple(away))
    notes: list[str] = []
    error = ""

    def view(event: Event) -> None:
        if isinstance(event, Noted):
            notes.append(event.text)

    spec = read_spec(Path("study.toml"))
    tracking = f"sqlite:///{Path.cwd()}/mlflow.db" if task.get("tracking") else None
    try:
        run_study(spec, Places("sqlite:///studies.db", tracking, report=False), view)
    except SearcherError as one:
        error = str(one)
    print(*notes, error or "it came to its end", sep="\n")  # for the log: a test that fails shows it
    if task.get("blind"):  # what is recorded cannot be read under these conditions
        return {"error": error, "notes": notes}
    return {
        "error": error,
        "passed": dict(passed.counts),
        "notes": notes,
        "trials": _essence(spec.name),
        "differs": _differs(spec.name, tracking) if tracking else 0,
    }


def _make_hard(task: dict[str, Any]) -> None:
    """Conditions of this run: no file larger than `file_kb`; with `obeys` permissions hold for root, too."""
    if "file_kb" in task:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_kb"] * 1024, hard))
    if task.get("obeys") and os.geteuid() == 0:
        version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
        none = (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None, use_errno=True).capset(version_3, none) == 0, ctypes.get_errno()


def _use_served_workers() -> None:
    """Workers come from the server that this process has inherited, whose parent it is not."""
    from searcher.launchers import child

    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    served = multiprocessing.get_context("forkserver")
    child.multiprocessing = argparse.Namespace(get_context=lambda _: served)  # type: ignore[attr-defined]


def _essence(name: str) -> list[Any]:
    """All that is recorded of the trials and does not depend on the clock."""
    import optuna

    from diagnostics.causes import flatten
    from diagnostics.report import from_dict

    found = []
    for trial in optuna.load_study(study_name=name, storage="sqlite:///studies.db").trials:
        record = dict(trial.user_attrs.get("searcher:result", {}))
        known = flatten(from_dict(record["report"]).findings) if record else []
        told = {k: record.get(k) for k in ("outcome", "reason", "value", "metrics", "epochs", "settings")}
        told["reprieves"] = record.get("reprieves")
        notes = {k: v for k, v in trial.system_attrs.items() if k.startswith("completed_rung")}
        values = [list(point) for point in sorted(trial.intermediate_values.items())]
        attempts = trial.user_attrs.get("searcher:attempts", [])
        found.append(
            {
                **{"number": trial.number, "state": trial.state.name, "values": trial.values},
                **{"params": trial.params, "curve": values, "constraints": trial.constraints},
                **{"told": told, "notes": notes, "attempts": attempts},
                "findings": [(finding.kind, finding.severity.name.lower()) for finding in known],
            }
        )
    return found


def _differs(name: str, tracking: str) -> int:
    """What `searcher verify` says, by its exit code; its words go to the log."""
    from searcher.record_commands import verify_command

    places = {"storage": "sqlite:///studies.db", "tracking_uri": tracking, "runs": "searcher-runs"}
    return verify_command(argparse.Namespace(study=name, **places))


if __name__ == "__main__":
    main()
