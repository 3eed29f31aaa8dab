"""The diagnostics on planted faults and odd but healthy trainings, beside torchmortem on the same ones.

    python -m benchmarks.diagnosis                       everything, over five seeds (long)
    python -m benchmarks.diagnosis --seeds 0,1 --only rate
    python -m benchmarks.diagnosis --calibration --record DIR    then: --replay DIR, in seconds

What truly failed is decided by the outcome alone, beside the healthy twin of the same program and seed
(`tests/planted/outcomes.py`). Seeds 3 and 4 and the programs marked `held_out` were kept apart while the
rules were made: `--calibration` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path += [str(TESTS)] if str(TESTS) not in sys.path else []

import torch  # noqa: E402
from planted.cases import PLAIN, SEEDS, Case, choose  # noqa: E402
from planted.faults import FAULTS  # noqa: E402
from planted.outcomes import Outcome, Truth, is_healthy_alone, judge  # noqa: E402
from planted.running import train  # noqa: E402
from planted.watching import watched  # noqa: E402

from benchmarks import diagnosis_tables as tables  # noqa: E402
from benchmarks import mortem  # noqa: E402
from benchmarks.diagnosis_tables import Said, Seen  # noqa: E402
from diagnostics import Signals, diagnose  # noqa: E402

GRID = 50
"""Prefixes of a training that are diagnosed to see when a fatal finding stands: every 2 % of the budget."""

Raw = dict[str, Any]
"""A case, its outcome and what was said, as plain data that a process can send."""


def main() -> None:
    """Train or replay, judge, show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--only", default="", help="variants whose name begins so; healthy ones: healthy-")
    parser.add_argument("--calibration", action="store_true", help="leave out what is held out")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--record", type=Path, help="write signals and outcomes here")
    parser.add_argument("--replay", type=Path, help="diagnose what was recorded here again")
    parser.add_argument("--mortem", action="store_true", help="ask torchmortem too")
    parser.add_argument("--write", type=Path, help="write the tables as Markdown here")
    parser.add_argument("--list", action="store_true", help="every failing case missed, every false alarm")
    given = parser.parse_args()
    if given.mortem and not mortem.is_installed():
        parser.error(mortem.MISSING)
    jobs = list(_recorded(given)) if given.replay else _chosen(given)
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        raw = list(pool.imap_unordered(_replay if given.replay else _run, jobs, chunksize=4))
    seen = judged(raw)
    print("\n".join(show(seen, given.list)))
    if given.write:
        given.write.write_text(tables.section(seen), encoding="utf-8")


def show(seen: list[Seen], with_list: bool = False) -> Iterator[str]:
    """All tables as lines."""
    yield from [tables.counts(seen), "", *tables.aligned(tables.summary(seen))]
    for is_faulty in (True, False):
        yield from ["", *tables.aligned(tables.per_variant(seen, is_faulty))]
    yield from ["", "said first:", *tables.confusion(seen)]
    if with_list:
        yield from ["", *_listed(seen)]


def judged(raw: list[Raw]) -> list[Seen]:
    """What became of every case, beside its twin; those whose twin is missing or ill are left out."""
    outcomes = {Case(*entry["case"]): Outcome(**entry["outcome"]) for entry in raw}
    order = {name: i for i, name in enumerate(FAULTS)}
    seen = []
    for entry in sorted(raw, key=lambda entry: (order.get(entry["case"][0], len(order)), entry["case"])):
        case = Case(*entry["case"])
        twin = outcomes.get(case.twin)
        if twin is not None and is_healthy_alone(twin):
            seen.append(_seen(case, outcomes[case], twin, entry))
    return seen


def _seen(case: Case, outcome: Outcome, twin: Outcome, entry: Raw) -> Seen:
    fault = FAULTS.get(case.variant)
    comparable = case.recipe.comparable
    truth = judge(outcome, twin, comparable, fault is None and case.oddity.short)
    dead = truth is Truth.FAILS and outcome.is_dead
    about = (case.held_out, case.is_faulty, truth.value, dead)
    causes, fatal = (fault.causes, fault.fatal) if fault else ((), False)
    other = Said(*entry["other"]) if entry.get("other") else None
    return Seen(case.variant, case.program, case.seed, *about, causes, fatal, Said(*entry["ours"]), other)


def _chosen(given: argparse.Namespace) -> list[tuple[Case, Mapping[str, Any]]]:
    cases = choose([int(seed) for seed in given.seeds.split(",")], given.only)
    cases = list(dict.fromkeys([*cases, *(case.twin for case in cases)]))
    cases = [case for case in cases if not (given.calibration and case.held_out)]
    return [(case, {"record": given.record, "mortem": given.mortem}) for case in cases]


def _run(job: tuple[Case, Mapping[str, Any]]) -> Raw:
    case, settings = job
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        outcome, monitor = watched(case.recipe, case.seed)
    except Exception as error:
        raise RuntimeError(f"{case} broke") from error
    raw: Raw = {"case": (case.variant, case.program, case.seed), "outcome": outcome.to_dict()}
    raw["ours"] = _said(case, outcome, monitor.signals)
    if settings["mortem"]:
        raw["other"] = _mortem_said(case)
    if settings["record"]:
        folder = settings["record"] / case.variant
        folder.mkdir(parents=True, exist_ok=True)
        monitor.signals.save(folder / f"{case.program}-{case.seed}.npz")
        (folder / f"{case.program}-{case.seed}.json").write_text(json.dumps(raw), encoding="utf-8")
    return raw


def _said(case: Case, outcome: Outcome, signals: Signals) -> tuple[Any, ...]:
    report = diagnose(signals, {"ended": "finished"})
    if report.errors:
        print(f"{case}: {report.errors}", file=sys.stderr)
    findings = tuple((finding.kind, int(finding.severity)) for finding in report.findings)
    may_stop = report.fatal is not None or outcome.is_dead
    return findings, report.verdict.value, _stopped_at(signals, outcome.steps) if may_stop else None


def _stopped_at(signals: Signals, steps: int) -> float | None:
    """Share of the budget from which a finding is fatal, were it asked live."""
    for k in range(1, GRID + 1):
        if diagnose(signals.until(round(k * steps / GRID) - 1)).fatal is not None:
            return k / GRID
    return None


def _mortem_said(case: Case) -> tuple[Any, ...]:
    seen: list[mortem.Mortem] = []

    def watch(model: Any, optimizer: Any, data: Any) -> mortem.Mortem:
        seen.append(mortem.Mortem(model, optimizer))
        return seen[-1]

    train(case.recipe, case.seed, watch)
    said = seen[-1].said()
    return said.findings, said.verdict, said.stopped_at


def _recorded(given: argparse.Namespace) -> Iterator[Path]:
    """Records of the wanted variants, and of all twins."""
    for path in sorted(given.replay.glob("*/*.json")):
        if path.parent.name.startswith(given.only) or path.parent.name == PLAIN:
            yield path


def _replay(path: Path) -> Raw:
    raw: Raw = json.loads(path.read_text(encoding="utf-8"))
    case = Case(*raw["case"])
    raw["ours"] = _said(case, Outcome(**raw["outcome"]), Signals.load(path.with_suffix(".npz")))
    return raw


def _listed(seen: list[Seen]) -> Iterator[str]:
    for entry in seen:
        said = ", ".join(f"{kind} {severity}" for kind, severity in entry.ours.findings)
        shown = f"{entry.name}: {entry.ours.verdict}; {said or 'nothing'}"
        if entry.is_faulty and entry.truth == "fails":
            if not entry.ours.caught:
                yield f"missed       {shown}"
            elif not set(entry.ours.alarms) & set(entry.causes):
                yield f"not named    {shown}"
            if entry.dead and entry.fatal and entry.ours.stopped_at is None:
                yield f"not stopped  {shown}"
        elif not entry.is_faulty and entry.truth == "works" and entry.ours.caught:
            yield f"false alarm  {shown}"
        elif not entry.is_faulty and entry.truth != "works":
            yield f"not healthy  {entry.name}: {entry.truth}"


if __name__ == "__main__":
    main()
