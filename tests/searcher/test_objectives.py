"""Studies with several objectives: what is told of trials, which stand on the front, what is refused."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from two_objectives import STUDY, TRAINER

from searcher.checks import check, read_checked
from searcher.cli import main
from searcher.errors import SpecError
from searcher.fronts import best_first, pareto_front
from searcher.ledger import KEPT_FRONT, Ledger
from searcher.opening import load_study
from searcher.records import WEIGHTS, trial_folder
from searcher.samplers import PRUNERS, SAMPLERS
from searcher.spec import Objective, StudySpec, parse_spec
from searcher.trial import Outcome, TrialCourse, TrialResult
from trainers.progress import Progress

Call = Callable[..., Any]


@pytest.fixture
def run(searcher: Call, workplace: Path) -> Call:
    """Runs a study of two objectives."""

    def call(*options: str, second: str = "parameters", trainer: str = "train", **search: Any) -> Any:
        sys.modules.pop("front", None)
        (workplace / "front.py").write_text(TRAINER)
        given = {"sampler": "random", "pruner": "none", "trials": 8, **search}
        text = STUDY.format(trainer=trainer, second=second, **given)
        for name in ("nsga-ii", "nsga-iii"):  # so small that there are several generations
            text = text.replace(f'"{name}"', f'{{ name = "{name}", population_size = 4 }}')
        (workplace / "two.toml").write_text(text)
        return searcher("run", "two.toml", *(options or ("--no-tracking",)))

    return call


def results(name: str = "two") -> list[TrialResult]:
    return load_study(name, "sqlite:///studies.db").results()


def recorded() -> optuna.Study:
    return optuna.load_study(study_name="two", storage="sqlite:///studies.db")


def slow_front(found: list[TrialResult]) -> set[int]:
    """The trials trained to their end of which none is at least as good in both and better in one."""
    done = [r for r in found if r.outcome is Outcome.COMPLETED]
    points = {r.number: (-r.objectives["val_accuracy"], r.objectives["parameters"]) for r in done}

    def beaten(one: tuple[float, float]) -> bool:
        return any(o[0] <= one[0] and o[1] <= one[1] and o != one for o in points.values())

    return {number for number, point in points.items() if not beaten(point)}


def test_all_objectives_are_told_and_the_front_is_named(run: Call) -> None:
    said = run(trials=12)
    assert said.code == 0, said.err
    assert [direction.name for direction in recorded().directions] == ["MAXIMIZE", "MINIMIZE"]
    found = results()
    for result, trial in zip(found, recorded().trials, strict=True):
        x, y = result.settings["x"], result.settings["y"]
        assert trial.values == [result.objectives["val_accuracy"], result.objectives["parameters"]]
        assert trial.values == pytest.approx([x - (y - 0.5) ** 2 + 0.4, int(1000 * x)])
        assert result.value == trial.values[0]
    front = slow_front(found)
    spec = load_study("two", "sqlite:///studies.db").spec
    assert {result.number for result in pareto_front(spec.metrics, found)} == front
    assert {t.number for t in recorded().best_trials} == front
    order = [result.number for result in best_first(spec.metrics, found)]
    assert set(order[: len(front)]) == front and len(order) == 12
    assert f"Pareto front: {len(front)} trial" in said.out
    table = said.out.split("Pareto front: ")[1].split("verdict")[0]
    assert {int(line.split()[0]) for line in table.splitlines() if line[:7].strip().isdigit()} == front


def test_all_objectives_belong_to_the_evaluation_that_counts(run: Call) -> None:
    run(second="val_loss")
    for result in results():
        assert result.best is not None and result.best.epoch == 4, "by the accuracy, not by the loss"
        assert result.objectives["val_loss"] == pytest.approx(1 + result.settings["y"])
        assert len(result.vectors) == 4 and result.vectors[4] == tuple(result.objectives.values())


def test_an_evaluation_without_all_of_its_objectives_does_not_count(spec: StudySpec) -> None:
    course = TrialCourse(spec.metric, spec.further, {})
    course.add(Progress(1, 1, 3, {"val_accuracy": 0.5, "val_loss": 2.0}))
    course.add(Progress(2, 2, 3, {"val_accuracy": 0.9, "val_loss": math.inf}))
    assert course.objectives == {"val_accuracy": 0.5, "val_loss": 2.0}
    course.add(Progress(3, 3, 3, {"val_accuracy": 0.6, "val_loss": 7.0}))
    assert course.objectives == {"val_accuracy": 0.6, "val_loss": 7.0}
    assert [*course.vectors.values()] == [(0.5, 2.0), (0.5, 2.0), (0.6, 7.0)]


def test_the_time_of_a_step_is_known_on_the_way(spec: StudySpec) -> None:
    course = TrialCourse(spec.metric, [Objective(name="step_time"), Objective(name="seen")], {})
    course.add(Progress(1, 1, 3, {"val_accuracy": 0.5}, facts={"step_seconds": 1.0}))
    course.add(Progress(2, 2, 3, {"val_accuracy": 0.6}, facts={"step_seconds": 3.0}))
    assert [vector[1] for vector in course.vectors.values()] == [1.0, 2.0]
    assert all(math.isnan(vector[2]) for vector in course.vectors.values()), "nobody has said it yet"


@pytest.fixture
def spec() -> StudySpec:
    """A study of two metrics."""
    metrics = [{"name": "val_accuracy", "goal": "maximize"}, {"name": "val_loss"}]
    return parse_spec(
        {"name": "two", "metric": metrics, "space": {"dropout": [0.1, 0.2]}, "search": {"trials": 4}}, "two"
    )


def test_a_doomed_trial_has_finite_stand_ins_and_what_is_known_of_it(run: Call) -> None:
    said = run(trainer="falls", trials=12)
    assert said.code == 0, said.err
    found = results()
    doomed = [result for result in found if result.outcome is Outcome.DOOMED]
    assert {result.outcome for result in found} == {Outcome.COMPLETED, Outcome.DOOMED}
    for result in doomed:
        assert result.settings["x"] > 0.5
        told = [v for r in found for v in r.values.values()]
        assert result.objectives["val_accuracy"] >= min(told), "the worst that any has reached until then"
        assert result.objectives["parameters"] == int(1000 * result.settings["x"])
        trial = recorded().trials[result.number]
        assert trial.state is optuna.trial.TrialState.PRUNED and sum(trial.constraints.values()) > 0
        assert [*result.vectors.values()][-1] == tuple(result.objectives.values())


def test_an_objective_that_nobody_says_ends_the_study_with_what_was_said(run: Call) -> None:
    said = run(second="paramters")
    assert said.code == 2 and "the metric 'paramters' was never reported" in said.err


def test_a_trial_that_says_less_than_others_is_doomed(run: Call) -> None:
    assert run(trials=2, second="val_loss").code == 0
    file = Path("front.py")
    file.write_text(
        file.read_text().replace("def train(", "def before(").replace("def says_less", "def train")
    )
    file.write_text(file.read_text().replace("in train(settings)", "in before(settings)"))
    said = run_again("two.toml")
    assert said == 0
    last = results()[-1]
    assert last.outcome is Outcome.DOOMED and last.reason == "val_loss was never reported"
    assert math.isfinite(last.objectives["val_loss"])


def run_again(file: str) -> int:
    sys.modules.pop("front", None)
    return main(["run", file, "--no-tracking", "--trials", "4"])


@pytest.mark.parametrize(
    ("metrics", "place", "said"),
    [
        (["val_loss", "val_loss"], "metric.1.name", "'val_loss' stands there twice"),
        (["val_loss", "parametres"], "metric.1.name", "did you mean 'parameters'?"),
        (["parameters", "val_loss"], "metric.0.name", "there is no 'parameters'"),
        (["val_loss", "val_accuracy"], "metric.1.goal", "say goal = 'maximize'"),
    ],
)
def test_metrics_that_do_not_fit_are_told_with_their_place(
    metrics: list[str], place: str, said: str, tmp_path: Path
) -> None:
    tables = "\n".join(f'[[metric]]\nname = "{name}"' for name in metrics)
    file = tmp_path / "study.toml"
    file.write_text(f'name = "s"\n{tables}\n[space]\ndropout = [0.1, 0.2]\n[search]\ntrials = 2\n')
    with pytest.raises(SpecError) as raised:
        read_checked(file, {})
    (mistake,) = raised.value.mistakes
    assert mistake.place == place and said in mistake.message
    entry = 2 * int(place.split(".")[1])
    assert mistake.line == 2 + entry + (place.endswith("name"))


def test_only_the_first_metric_says_which_evaluation_counts(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"metric\.1\.of: there is no 'of'; known: name, goal"):
        parse_spec(
            {
                "name": "s",
                "metric": [{"name": "val_loss", "of": "last"}, {"name": "val_mae", "of": "last"}],
                "space": {"dropout": [0.1, 0.2]},
                "search": {"trials": 1},
            },
            "study.toml",
        )


def test_a_study_with_one_metric_in_a_list_is_that_with_a_table(spec: StudySpec) -> None:
    raw = {"name": "s", "space": {"dropout": [0.1]}, "search": {"trials": 1}}
    one = parse_spec({**raw, "metric": {"name": "val_mae"}}, "s")
    assert parse_spec({**raw, "metric": [{"name": "val_mae"}]}, "s") == one and not one.is_several
    assert json.loads(one.model_dump_json())["metric"] == {
        "name": "val_mae",
        "goal": "minimize",
        "of": "best",
    }
    assert parse_spec(json.loads(spec.model_dump_json()), "s") == spec


@pytest.mark.parametrize("name", ["cma-es", "forecast", "patient", "threshold", "wilcoxon"])
def test_what_knows_one_metric_alone_is_refused_with_a_choice(spec: StudySpec, name: str) -> None:
    kind = "sampler" if name in SAMPLERS else "pruner"
    part: dict[str, Any] = {"name": name, **({"lower": 0.1} if name == "threshold" else {})}
    search = spec.model_dump()["search"]
    with pytest.raises(SpecError) as raised:
        check(parse_spec({**spec.model_dump(), "search": {**search, kind: part}}, "s"), "s")
    (mistake,) = raised.value.mistakes
    known = [n for n, k in (SAMPLERS if kind == "sampler" else PRUNERS).items() if k.several]
    assert mistake.place == f"search.{kind}" and "choose from: " + ", ".join(known) in mistake.message


def test_a_further_metric_makes_another_study(run: Call) -> None:
    assert run().code == 0
    file = Path("two.toml")
    file.write_text(file.read_text().replace('name = "parameters"', 'name = "val_loss"'))
    assert main(["run", "two.toml", "--no-tracking"]) == 2
    assert len(results()) == 8


@pytest.mark.parametrize("sampler", ["tpe", "nsga-ii", "nsga-iii", "gp", "random", "qmc"])
def test_an_interrupted_study_asks_for_the_same_points(run: Call, sampler: str, searcher: Call) -> None:
    """With trials among them that were given up, and such that were doomed."""
    options: dict[str, Any] = {"trainer": "falls", "sampler": sampler, "pruner": "asha", "trials": 24}
    assert run("--no-tracking", **options).code == 0
    whole = [(r.settings, r.outcome, r.objectives) for r in results()]
    Path("studies.db").unlink()
    for stop in (5, 13, 24):
        assert searcher("run", "two.toml", "--no-tracking", "--trials", str(stop)).code == 0
    assert [(r.settings, r.outcome, r.objectives) for r in results()] == whole
    assert {Outcome.PRUNED, Outcome.DOOMED} & {outcome for _, outcome, _ in whole}


def test_best_gives_the_trial_of_the_front_that_is_asked_for(run: Call, searcher: Call) -> None:
    run(trials=12)
    front = sorted(slow_front(results()))
    by_default = searcher("best", "two")
    lead = max((r for r in results() if r.number in front), key=lambda r: r.objectives["val_accuracy"])
    assert f"# below: trial {lead.number}, the best in val_accuracy" in by_default.out
    for number in front:
        said = searcher("best", "two", "--trial", str(number))
        assert said.code == 0 and f"x = {results()[number].settings['x']!r}" in said.out
    off = next(r.number for r in results() if r.number not in front)
    said = searcher("best", "two", "--trial", str(off))
    assert said.code == 2 and "is not on the Pareto front; choose from:" in said.err
    assert all(str(number) in said.err.split("choose from:")[1] for number in front)


def test_machines_hear_of_all_objectives(run: Call) -> None:
    lines = [json.loads(line) for line in run("--no-tracking", "--json").out.splitlines()]
    ended = [line for line in lines if line["event"] == "trial_ended"]
    assert all(set(line["objectives"]) == {"val_accuracy", "parameters"} for line in ended)
    (left,) = [line for line in lines if line["event"] == "study_left"]
    assert {one["trial"] for one in left["pareto_front"]} == slow_front(results())
    assert left["best_trial"] in {one["trial"] for one in left["pareto_front"]}


def test_weights_stay_for_the_front_and_so_many_of_it(
    tmp_path: Path, rng: np.random.Generator, spec: StudySpec
) -> None:
    ledger = Ledger(spec.metric, tmp_path, spec.further)
    found: list[TrialResult] = []
    for number in range(40):
        value, loss = float(rng.random()), float(rng.random())
        on_curve = rng.random() < 0.6  # else it is likely dominated
        vector = {"val_accuracy": value, "val_loss": value**2 if on_curve else loss + 1}
        result = TrialResult(number, {}, (), (), Outcome.COMPLETED, report(), value, objectives=vector)
        folder = trial_folder(tmp_path, number)
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_text("weights")
        found.append(result)
        is_on = ledger.add(result)
        front = {one.number for one in pareto_front(spec.metrics, found)}
        assert is_on == (number in front)
        kept = {n for n in range(number + 1) if (trial_folder(tmp_path, n) / WEIGHTS).exists()}
        assert kept <= front and len(kept) <= KEPT_FRONT
        assert len(front) > KEPT_FRONT or len(kept) >= min(len(front), 1)
    ends = pareto_front(spec.metrics, found)
    assert {ends[0].number, ends[-1].number} & kept


def report() -> Any:
    from diagnostics import Signals, diagnose

    return diagnose(Signals())
