"""What a study comes to, as plain numbers and the sentences made from them: every renderer shows the same.

A part whose numbers are not there is empty (no rows, None), never invented; its `note` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from searcher.report.observations import Curves, FailureMap, LayerMap, Matters, Number, Value


@dataclass(frozen=True)
class Spread:
    """How much noise moves a value: half the width of where 95 % of such values lie, and where it is from.

    `source`: `seeds` (the same settings trained with other seeds), `evaluations` (how much the metric of one
    training moves about its trend), `samples` (an accuracy on so few validation samples). `samples` is how
    many of those there were.
    """

    half_width: float
    source: str
    samples: int


@dataclass(frozen=True)
class Repeated:
    """A trial that was trained again with other seeds: its first value; the `values` of repeats that were
    trained to their end, and the `lost` ones, which could not recover or violate a constraint; the mean of
    the values, its standard error, and the chance that it is the best of all that were repeated."""

    trial: int
    first: float
    values: tuple[float, ...]
    lost: tuple[int, ...]
    mean: float | None
    error: float | None
    chance: float | None


@dataclass(frozen=True)
class Sureness:
    """How sure it is which trial is the best: in a sentence, and by the trials that were repeated, the best
    first. `spread` is the standard deviation of one training over seeds, with its degrees of freedom;
    `seconds` are those of device time that it took."""

    text: str = ""
    rows: tuple[Repeated, ...] = ()
    spread: float | None = None
    freedom: int = 0
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Best:
    """The best trial that was trained to its end; `equals` are trials whose difference to it is noise. Where
    it was `repeated`, its value is the mean of that."""

    trial: int
    value: float
    epoch: float
    settings: Mapping[str, Value]
    spread: Spread | None
    equals: tuple[int, ...]
    repeated: Repeated | None = None


@dataclass(frozen=True)
class Trouble:
    """What went wrong with some trials: kind of their first cause, the trials, what to change."""

    kind: str
    trials: tuple[int, ...]
    remedy: str


@dataclass(frozen=True)
class Headline:
    """In one paragraph: what was searched, the best, how many trained well, what went wrong, what is next."""

    text: str
    trials: int
    well: int
    outcomes: Mapping[str, int]
    best: Best | None
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class VerdictRow:
    """How many trials got a verdict, and the device time spent on them in seconds."""

    verdict: str
    trials: int
    seconds: float


@dataclass(frozen=True)
class Verdicts:
    """All verdicts; `saved` is the device time in seconds, by outcome, that stopping early has saved: what
    was left of the trial's epochs, at the trial's own pace."""

    rows: tuple[VerdictRow, ...]
    saved: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class AuditRow:
    """Stops because of one kind of finding: those carried out; trials that were let run on all the same and
    judged, how many of them came back, how many to the best quarter (`wrong`), and the 95 % interval of the
    share of wrong stops (Wilson)."""

    kind: str
    stopped: int
    judged: int
    came_back: int
    wrong: int
    low: float
    high: float


@dataclass(frozen=True)
class LetRunRow:
    """A trial that trained on after a stop was due: `why`, at which step, because of which kind, why not,
    what came of it, and its rank among the trials that were trained to their end."""

    trial: int
    why: str
    step: int
    kind: str
    because: str
    outcome: str
    place: int | None


@dataclass(frozen=True)
class Audit:
    """Whether the stops were right: in a sentence, of all kinds together (`total`; None when none was judged)
    and by kind; the trials let run on; what that cost in epochs and device seconds."""

    text: str = ""
    total: AuditRow | None = None
    rows: tuple[AuditRow, ...] = ()
    let_run: tuple[LetRunRow, ...] = ()
    epochs: float = 0.0
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class AtBound:
    """The best value of a setting lies on a bound of its range."""

    setting: str
    value: Number
    bound: str


@dataclass(frozen=True)
class Convergence:
    """How the search itself went: best so far after each finished trial and after so many device seconds."""

    trials: tuple[int, ...]
    seconds: tuple[float, ...]
    best: tuple[float, ...]
    levelled_off: bool | None
    text: str
    at_bounds: tuple[AtBound, ...]


@dataclass(frozen=True)
class Change:
    """A change to the study file, with its reason."""

    setting: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Longer:
    """A trial that was still improving and deserves a longer budget."""

    trial: int
    reason: str
    settings: Mapping[str, Value]


@dataclass(frozen=True)
class Next:
    """A study file that is ready to run, and why it differs from this one."""

    study_file: str
    changes: tuple[Change, ...]
    longer: tuple[Longer, ...]


@dataclass(frozen=True)
class Reproduction:
    """All that is needed to get these results again. `study_file` is the text of the study file that was run,
    for a study that does not come along; `sampler` is the one that it gets, and why where `auto` chose it."""

    command: str
    seed: int
    versions: Mapping[str, str]
    device: str
    data_digest: str
    git_commit: str
    best_settings: str
    study_file: str = ""
    sampler: str = ""


@dataclass(frozen=True)
class Aim:
    """An objective, and whether it is to `minimize` or to `maximize`."""

    name: str
    goal: str


@dataclass(frozen=True)
class OfFront:
    """A trial that was trained to its end, by all objectives: name -> value."""

    trial: int
    objectives: Mapping[str, float]
    verdict: str
    settings: Mapping[str, Value]


@dataclass(frozen=True)
class Pareto:
    """The trials that no other dominates, the best in the first objective first; the others that were trained
    to their end; and the front in a sentence."""

    aims: tuple[Aim, ...]
    front: tuple[OfFront, ...]
    others: tuple[OfFront, ...]
    text: str


@dataclass(frozen=True)
class StudyReport:
    """A convergence report, in the order in which it is read. `ended` says why the study ended; empty while
    it runs. `made_at` is in seconds since 1970; `views` are links to the study's saved views in MLflow.
    `pareto` is there where several objectives count; all else looks at the first of them, `metric`."""

    study: str
    question: str
    metric: str
    goal: str
    ended: str
    made_at: float
    headline: Headline
    verdicts: Verdicts
    curves: Curves
    failures: FailureMap
    matters: Matters
    layers: tuple[LayerMap, ...]
    convergence: Convergence
    next: Next
    reproduction: Reproduction
    views: Mapping[str, str] = field(default_factory=dict)
    audit: Audit = field(default_factory=Audit)
    sureness: Sureness = field(default_factory=Sureness)
    pareto: Pareto | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: tuples as lists."""
        from dataclasses import asdict

        return asdict(self)
