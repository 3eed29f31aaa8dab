"""A made-up report for the tests of its pages: curves and layers of a made-up study, the rest from rules.

It is put together without the code that computes the numbers, so that pages are tested on their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from made_up_study import made_up_study

from diagnostics import Verdict
from searcher.report.numbers.curves import curves
from searcher.report.numbers.layer_maps import layer_maps
from searcher.report.observations import (
    Bin,
    Condition,
    Curves,
    FailureMap,
    Importance,
    Interaction,
    Matters,
    Point,
    Rates,
    Region,
    Slice,
)
from searcher.report.study_report import (
    Aim,
    AtBound,
    Best,
    Change,
    Convergence,
    Headline,
    Longer,
    Next,
    OfFront,
    Pareto,
    Reproduction,
    Spread,
    StudyReport,
    Trouble,
    VerdictRow,
    Verdicts,
)
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult, ranked

NUMERIC = {"learning_rate": True, "dropout": False, "depth": False, "init_std": True}
"""Settings of the made-up study that are numbers, and whether they are drawn by their logarithm."""


def made_up_report(trials: int, seed: int = 0) -> StudyReport:
    """A report on a made-up study of so many trials."""
    spec, results = made_up_study(trials, seed)
    failed = [result for result in results if result.outcome is Outcome.DOOMED]
    return StudyReport(
        study="made-up",
        question=spec.question,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        ended="the budget of 60 trials is used",
        made_at=1_790_000_000.0,
        headline=_headline(spec, results, failed),
        verdicts=_verdicts(results),
        curves=curves(spec, results),
        failures=_failures(spec, results, failed),
        matters=_matters(spec, results),
        layers=layer_maps(spec, results),
        convergence=_convergence(results),
        next=_next(results),
        reproduction=_reproduction(spec),
    )


def front_report(trials: int, further: int = 1) -> StudyReport:
    """The same with so many objectives beside the first one: more of the first costs more of the others."""
    report = made_up_report(trials)
    spec, results = made_up_study(trials, 0)
    names = ["parameters", "step_time", "val_loss"][:further]
    rows = []
    for place, result in enumerate(ranked(spec.metric, results)):
        value = result.value or 0.0
        told = {name: (1.0 + value) ** (8 + n) * (1 + place % 3) for n, name in enumerate(names)}
        settings = {name: result.settings[name] for name in result.sampled}
        objectives = {spec.metric.name: value, **told}
        rows.append(OfFront(result.number, objectives, result.verdict.value, settings))
    aims = (Aim(spec.metric.name, "maximize"), *(Aim(name, "minimize") for name in names))
    text = f"Of {len(rows)} trials every third stands on the front."
    return replace(report, pareto=Pareto(aims, tuple(rows[::3]), tuple(rows[1::3] + rows[2::3]), text))


def empty_report() -> StudyReport:
    """A report on a study in which no trial has ended yet."""
    return StudyReport(
        study="empty",
        question="",
        metric="val_loss",
        goal="minimize",
        ended="",
        made_at=1_790_000_000.0,
        headline=Headline("No trial has ended yet.", 0, 0, {}, None, ()),
        verdicts=Verdicts((), {}),
        curves=Curves((), (), (), "No trial has ended yet."),
        failures=FailureMap((), ()),
        matters=Matters((), (), None),
        layers=(),
        convergence=Convergence((), (), (), None, "", ()),
        next=Next("", (), ()),
        reproduction=Reproduction("", 0, {}, "", "", "", ""),
    )


def _headline(spec: StudySpec, results: Sequence[TrialResult], failed: Sequence[TrialResult]) -> Headline:
    order = ranked(spec.metric, results)
    best = None
    if order:
        first = order[0]
        settings = {name: first.settings[name] for name in first.sampled}
        spread = Spread(0.0031, "evaluations", 12)
        best = Best(
            first.number, first.value or 0.0, 12.0, settings, spread, tuple(r.number for r in order[1:3])
        )
    well = sum(result.verdict in (Verdict.CONVERGED, Verdict.IMPROVING) for result in results)
    remedy = "lower learning_rate from 0.5 to about 5e-3, or let it grow slowly (warmup_epochs)"
    numbers = tuple(result.number for result in failed)
    text = (
        f"This study searched 7 settings of a made-up network for the largest val_accuracy in {len(results)} "
        f"trials. The best reached 0.9593 \u00b1 0.0031. {well} trials trained well; {len(failed)} "
        "diverged, all of them with a large learning rate and without batch norm. Next: keep learning_rate "
        "under 0.08, and train the best ones longer."
    )
    troubles = (Trouble("diverging", numbers, remedy),) if failed else ()
    return Headline(text, len(results), well, {"completed": 40, "doomed": len(failed)}, best, troubles)


def _verdicts(results: Sequence[TrialResult]) -> Verdicts:
    rows = []
    for verdict in Verdict:
        of_it = [result for result in results if result.verdict is verdict]
        if of_it:
            rows.append(VerdictRow(verdict.value, len(of_it), sum(result.seconds for result in of_it)))
    return Verdicts(tuple(rows), {"pruned": 412.0, "doomed": 1310.5})


def _failures(spec: StudySpec, results: Sequence[TrialResult], failed: Sequence[TrialResult]) -> FailureMap:
    rates = tuple(
        Rates(kind, setting, _bins(setting, results))
        for kind in ("any failure", "diverging")
        for setting in spec.space
    )
    rule = "learning_rate above 0.1 without batch norm: 17 of 18 exploded, elsewhere 0 of 42"
    conditions = (Condition("learning_rate", "above", 0.1), Condition("norm", "is", ("none", "layer")))
    regions = (
        Region("diverging", rule, conditions, len(failed), len(failed) + 1, 0, 42, 0.97),
        Region("not-learning", "no clear rule", (), 0, 0, 3, 60, 0.5),
    )
    return FailureMap(rates, regions) if failed else FailureMap((), (), "No trial failed.")


def _bins(setting: str, results: Sequence[TrialResult]) -> tuple[Bin, ...]:
    having = [result for result in results if setting in result.sampled]
    values = sorted(
        {result.settings[setting] for result in having}, key=str if setting not in NUMERIC else float
    )
    parts = [values[i::1][:1] for i in range(len(values))]
    if setting in NUMERIC and len(values) > 5:
        size = -(-len(values) // 5)
        parts = [values[i : i + size] for i in range(0, len(values), size)]
    bins = []
    for part in parts:
        inside = [result for result in having if result.settings[setting] in part]
        bad = sum(result.outcome is Outcome.DOOMED for result in inside)
        rate, is_number = bad / len(inside), setting in NUMERIC
        label = f"{part[0]:.2g} to {part[-1]:.2g}" if is_number else str(part[0])
        low, high = (float(part[0]), float(part[-1])) if is_number else (None, None)
        bins.append(Bin(label, low, high, len(inside), bad, rate, max(0, rate - 0.15), min(1, rate + 0.15)))
    return tuple(bins)


def _matters(spec: StudySpec, results: Sequence[TrialResult]) -> Matters:
    shares = dict(zip(spec.space, (0.58, 0.02, 0.17, 0.05, 0.004, 0.03, 0.14), strict=True))
    slices = tuple(
        Slice(
            setting,
            NUMERIC.get(setting, False),
            tuple(
                Point(r.number, r.settings[setting], r.value or 0.0, r.verdict.value)
                for r in results
                if setting in r.sampled
            ),
        )
        for setting in spec.space
    )
    points = tuple(
        (r.number, r.settings["learning_rate"], r.settings["norm"], r.value or 0.0) for r in results
    )
    text = "Above a learning_rate of 0.1 only trials with batch norm learn: 5 of 6 against 0 of 17."
    interaction = Interaction("learning_rate", "norm", True, False, points, text) if len(points) > 2 else None
    order = sorted(shares.items(), key=lambda entry: -entry[1])
    return Matters(tuple(Importance(*entry) for entry in order), slices, interaction)


def _convergence(results: Sequence[TrialResult]) -> Convergence:
    best: list[float] = []
    for result in results:
        best.append(max([result.value or 0.0, *best[-1:]]))
    seconds = tuple(round(20.0 * (i + 1), 1) for i in range(len(results)))
    text = "The best has not changed in the last 30 trials: the search has levelled off."
    bounds = (AtBound("dropout", 0.003, "low"),)
    return Convergence(tuple(range(1, len(results) + 1)), seconds, tuple(best), True, text, bounds)


def _next(results: Sequence[TrialResult]) -> Next:
    file = (
        'name = "made-up-2"\nquestion = "Which made-up settings train a made-up network best?"\n\n[train]\n'
        'data = "digits"\nmodel = "mlp"\nepochs = 18\n\n[space]\n'
        "learning_rate = { low = 1e-3, high = 0.08, log = true }  # was 1e-4 to 1.0\n"
        'norm = ["batch", "layer"]\n\n[search]\ntrials = 60\n'
    )
    change = Change(
        "learning_rate",
        "1e-4 to 1.0",
        "1e-3 to 0.08",
        "17 of 18 trials above 0.1 diverged without batch norm",
    )
    longer = tuple(
        Longer(
            r.number,
            "the loss still falls by 10 % in the last half",
            {"learning_rate": 0.00213, "norm": "batch"},
        )
        for r in results
        if r.verdict is Verdict.IMPROVING
    )[:3]
    return Next(file, (change,), longer)


def _reproduction(spec: StudySpec) -> Reproduction:
    versions = {"python": "3.11.9", "torch": "2.13.0", "optuna": "5.0.0", "searcher": "0.1.0"}
    return Reproduction(
        "searcher run made-up.toml",
        spec.search.seed,
        versions,
        "cpu",
        "3f3ec3678edb3ea2",
        "0c6ca44d0a9b",
        '[train]\ndata = "digits"\nlearning_rate = 0.0112\n',
    )
