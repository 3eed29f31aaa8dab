"""Events as JSON, one object a line, for machines. Names and fields are a public interface."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from diagnostics.report import to_dict
from searcher.confirming import confirmation
from searcher.events import Event, Noted, StudyLeft, StudyOpened, TrialEnded, TrialProgressed, TrialStarted
from searcher.spec import StudySpec
from searcher.summary import best_result, best_results, sampled_of
from searcher.trial import TrialResult, searched


class JsonView:
    """Writes every event to `out`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> JsonView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Write one line."""
        data = {name: _plain(value) for name, value in _data(event).items()}
        print(json.dumps(data), file=self._out, flush=True)


def _data(event: Event) -> dict[str, Any]:
    match event:
        case StudyOpened(spec, slots, results, requeued):
            return {
                "event": "study_opened",
                "study": spec.name,
                "slots": list(slots),
                "finished": len(results),
                "requeued": requeued,
            }
        case TrialStarted(number, slot, sampled, attempts, repeat):
            return {
                "event": "trial_started",
                "trial": number,
                "slot": slot,
                "sampled": dict(sampled),
                "attempts": list(attempts),
                "confirms": None if repeat is None else repeat.of,
                "seed": None if repeat is None else repeat.seed,
            }
        case TrialProgressed(number, course, evaluated):
            return {
                "event": "trial_evaluated" if evaluated else "trial_progressed",
                "trial": number,
                "step": course.step,
                "epoch": course.epoch,
                "value": course.value,
                **({"objectives": _known(course.objectives)} if course.objectives else {}),
            }
        case TrialEnded(result, is_best):
            return {"event": "trial_ended", **_result(result), "is_best": is_best}
        case Noted(text):
            return {"event": "noted", "text": text}
        case StudyLeft(spec, results, why):
            trials = len(searched(results))
            end = {"study": spec.name, "trials": trials, "repeats": len(results) - trials, "why": why}
            return {"event": "study_left", **end, **_best(spec, results)}


def _result(result: TrialResult) -> dict[str, Any]:
    return {
        "trial": result.number,
        "outcome": result.outcome.value,
        "value": result.value,
        "confirms": result.confirms,
        "extended": result.extended,
        **({"objectives": dict(result.objectives)} if result.objectives else {}),
        "reason": result.reason,
        "reprieves": [asdict(reprieve) for reprieve in result.reprieves],
        "seconds": result.seconds,
        "report": to_dict(result.report),
    }


def _best(spec: StudySpec, results: Sequence[TrialResult]) -> dict[str, Any]:
    best, several = best_result(spec, results), spec.is_several
    known = confirmation(spec.metric, results)
    one = None if known is None else known.named
    return {
        "best_trial": None if best is None else best.number,
        "best_value": None if best is None else best.value,
        "best_mean": None if one is None else one.mean,
        "best_error": None if one is None else one.error,
        "best_chance": None if one is None else one.chance,
        "best_sampled": None if best is None else sampled_of(best),
        **({"pareto_front": [_of_front(one) for one in best_results(spec, results)]} if several else {}),
    }


def _known(objectives: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in objectives.items()}


def _of_front(result: TrialResult) -> dict[str, Any]:
    return {
        "trial": result.number,
        "objectives": dict(result.objectives),
        "sampled": sampled_of(result),
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
