"""What the commands about MLflow's record do: `ui`, `verify` and `repair`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.addresses import without_user
from searcher.defaults import RUNS, STORAGE, TRACKING
from searcher.errors import SearcherError, StudyBusy, TrackingError
from searcher.lock import study_lock

END_SECONDS = 10.0
"""What the pages' server may take to end by itself."""

if TYPE_CHECKING:
    from searcher.tracking import Recorded
    from searcher.verify import Difference


def ui_command(arguments: argparse.Namespace) -> int:
    """Serve MLflow's pages on the record until Ctrl-C."""
    uri = arguments.tracking_uri
    if uri.startswith("http"):
        print(f"a server keeps this record; its pages are at {without_user(uri)}")
        _print_links(uri, without_user(uri), arguments.study)
        return 0
    if not _is_free(arguments.host, arguments.port):
        raise SearcherError(
            f"port {arguments.port} of {arguments.host} is in use, perhaps by pages that are open already; "
            "end that program, or choose another one with --port"
        )
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", arguments.host, "--port", str(arguments.port)]
    address = f"http://{arguments.host}:{arguments.port}"
    pages = f"{address}/#/experiments?workflowType=machine_learning"
    print(f"MLflow's pages come up in some 10 seconds (Ctrl-C ends them): {pages}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        if _is_up(server, address.replace("//0.0.0.0:", "//127.0.0.1:")):
            _print_links(address, address, arguments.study)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(server)


def _is_free(host: str, port: int) -> bool:
    """Whether nobody serves there."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError:
            return False
    return True


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server with the workers it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


def _is_up(server: subprocess.Popen[bytes], address: str) -> bool:
    """Wait until the server answers. The links are asked of it: two that open a store may both migrate it."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while server.poll() is None:
        with contextlib.suppress(OSError), direct.open(f"{address}/health", timeout=2):
            return True
        time.sleep(0.3)
    return False


def verify_command(arguments: argparse.Namespace) -> int:
    """Hold MLflow's record of a study against Optuna's store: 0 when they agree, else 1."""
    from searcher.tracking import verify_record

    truth = _truth(arguments)
    found = verify_record(truth, arguments.tracking_uri)
    _print_differences(truth, found)
    if not found:
        _print_agreement(truth)
        return 0
    print(f"{_counted(found)}; mend with: searcher repair {truth.spec.name}{_elsewhere(arguments)}")
    return 1


def repair_command(arguments: argparse.Namespace) -> int:
    """Bring MLflow's record of a study to what Optuna's store knows: 0 when they agree then, else 1."""
    from searcher.opening import recorded_name
    from searcher.tracking import repair_record

    name = recorded_name(arguments.study)
    with study_lock(Path(arguments.runs) / name, name, arguments.storage):
        truth = _truth(arguments, locked=True)
        before, left = repair_record(truth, arguments.tracking_uri)
    _print_differences(truth, before)
    if left:
        print(f"mended what could be; left are {_counted(left)}:")
        for difference in left:
            print(difference)
        return 1
    if before:
        print(f"mended {_counted(before)}")
    _print_agreement(truth)
    return 0


def _truth(arguments: argparse.Namespace, locked: bool = False) -> Recorded:
    from searcher.opening import load_study, recorded_name
    from searcher.summary import to_markdown
    from searcher.tracking import Recorded

    store = load_study(recorded_name(arguments.study), arguments.storage)
    runs = Path(arguments.runs) / store.spec.name
    running = [number for number, _ in store.unfinished()]
    alive = not locked and _is_run(runs, store.spec.name, arguments.storage)
    results = store.results()
    return Recorded(store.spec, results, runs, running, alive, to_markdown(store.spec, results, ""))


def _is_run(runs: Path, name: str, storage: str) -> bool:
    """Whether a coordinator runs the study just now."""
    if not runs.exists():
        return False
    try:
        with study_lock(runs, name, storage):
            return False
    except StudyBusy:
        return True


def _print_differences(truth: Recorded, found: list[Difference]) -> None:
    for difference in found:
        print(difference)
    if truth.alive:
        print("the study is being run: what was not written yet shows as a difference", file=sys.stderr)
    for file in sorted(truth.spoiled):
        print(f"{file} cannot be read: it counts as missing", file=sys.stderr)
    if unseen := truth.without_signals():
        numbers = ", ".join(map(str, unseen[:10])) + (", ..." if len(unseen) > 10 else "")
        print(
            f"the curves of {len(unseen)} trials ({numbers}) were not compared: their files are not in "
            f"{truth.runs}; name the folder with --runs",
            file=sys.stderr,
        )


def _print_agreement(truth: Recorded) -> None:
    print(f"{truth.spec.name}: MLflow agrees with Optuna's store on {len(truth.results)} trials")


def _counted(found: list[Difference]) -> str:
    runs = len({difference.number for difference in found})
    one = len(found) == 1
    return "1 difference" if one else f"{len(found)} differences in {runs} run{'s' * (runs > 1)}"


def _elsewhere(arguments: argparse.Namespace) -> str:
    given = {
        "--storage": (arguments.storage, STORAGE),
        "--tracking-uri": (arguments.tracking_uri, TRACKING),
        "--runs": (arguments.runs, RUNS),
    }
    return "".join(f" {option} {value}" for option, (value, usual) in given.items() if value != usual)


def _print_links(uri: str, address: str, study: str | None) -> None:
    """The links of the saved views, a line each; a record that cannot be read is the pages' to tell."""
    from searcher.tracking import view_links

    try:
        found = view_links(uri, address, study)
    except TrackingError as error:
        print(f"searcher: {error}", file=sys.stderr)
        return
    if study is not None and study not in found:
        print(
            f"study {study!r} has no saved views in this record; make them with: searcher repair {study}",
            file=sys.stderr,
        )
    for name, links in found.items():
        print(f"{name}:")
        for view, address_of in links.items():
            print(f"  {view:24}{address_of}", flush=True)
