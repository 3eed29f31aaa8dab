"""`searcher verify` and `repair`: every kind of damage is found, and mended to what was there before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damaged_record import Damaged

from searcher.lock import study_lock
from searcher.verify import STUDY

Call = Callable[..., Any]


def deletes_a_run(of: Damaged, number: int) -> str:
    of.client.delete_run(of.run(number).info.run_id)
    return f"trial {number}: run: expected one, found none"


def loses_a_batch(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    where = "WHERE run_uuid = :run AND key = 'val_loss' AND step > 20"
    of.sql(f"DELETE FROM metrics {where}", f"DELETE FROM latest_metrics {where}", run=run_id)
    return f"trial {number}: curve val_loss: expected 6 points"


def loses_a_point(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    of.sql("DELETE FROM metrics WHERE run_uuid = :run AND key = 'val_loss' AND step = 20", run=run_id)
    return "found none at 1 of their steps, the first 20, the last 20"


def loses_all_metrics(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    of.sql(*(f"DELETE FROM {t} WHERE run_uuid = :run" for t in ("metrics", "latest_metrics")), run=run_id)
    return f"trial {number}: metric objective: expected"


def has_a_point_twice(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    of.sql(
        "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) SELECT run_uuid, key, value, "
        "timestamp + 1, step, is_nan FROM metrics WHERE run_uuid = :run AND key = 'val_loss' AND step = 30",
        run=run_id,
    )
    return "curve val_loss: expected each step once, found step 30 more than once"


def stays_running(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    of.sql("UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = :run", run=run_id)
    return f"trial {number}: status: expected FINISHED, found RUNNING"


def has_another_param(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    of.sql("UPDATE params SET value = '0.5' WHERE run_uuid = :run AND key = 'learning_rate'", run=run_id)
    return f"trial {number}: param learning_rate: expected "


def lacks_a_param(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    of.sql("DELETE FROM params WHERE run_uuid = :run AND key = 'width'", run=run_id)
    return f"trial {number}: param width: expected "


def has_another_value(of: Damaged, number: int) -> str:
    run_id = of.run(number).info.run_id
    set_value = "SET value = value + 1 WHERE run_uuid = :run AND key = 'objective'"
    of.sql(f"UPDATE metrics {set_value}", f"UPDATE latest_metrics {set_value}", run=run_id)
    return f"trial {number}: metric objective: expected "


def has_another_verdict(of: Damaged, number: int) -> str:
    of.client.set_tag(of.run(number).info.run_id, "verdict", "failed")
    return f"trial {number}: tag verdict: expected "


def is_there_twice(of: Damaged, number: int) -> str:
    tags = {name: of.run(number).data.tags[name] for name in ("searcher.kind", "optuna.trial_number")}
    copy = of.client.create_run(of.experiment, tags=tags)
    of.client.set_terminated(copy.info.run_id)
    return f"trial {number}: run: expected one, found run {copy.info.run_id} too many"


def belongs_to_nobody(of: Damaged, _number: int) -> str:
    copy = of.client.create_run(of.experiment, tags={"searcher.kind": "trial", "optuna.trial_number": "77"})
    return f"trial 77: run: expected none, found run {copy.info.run_id} too many"


def loses_a_file(of: Damaged, number: int) -> str:
    Path(of.run(number).info.artifact_uri, "signals.npz").unlink()
    return f"trial {number}: file signals.npz: expected there, found nothing"


def the_study_is_deleted(of: Damaged, _number: int) -> str:
    of.client.delete_run(of.parent().info.run_id)
    return "study: run: expected one, found none"


def the_study_has_another_seed(of: Damaged, _number: int) -> str:
    run_id = of.parent().info.run_id
    of.sql("UPDATE params SET value = '-3' WHERE run_uuid = :run AND key = 'search.seed'", run=run_id)
    return "study: param search.seed: expected "


def the_study_loses_its_curve(of: Damaged, _number: int) -> str:
    run_id = of.parent().info.run_id
    where = "WHERE run_uuid = :run AND key = 'best_so_far'"
    of.sql(f"DELETE FROM metrics {where}", f"DELETE FROM latest_metrics {where}", run=run_id)
    return "study: curve best_so_far: expected "


def the_study_stays_running(of: Damaged, _number: int) -> str:
    of.client.update_run(of.parent().info.run_id, status="RUNNING")
    return "study: status: expected FINISHED, found RUNNING"


ONLY_MENDED = (
    loses_a_batch,
    loses_a_point,
    loses_all_metrics,
    stays_running,
    lacks_a_param,
    has_another_verdict,
    loses_a_file,
    the_study_loses_its_curve,
    the_study_stays_running,
)
"""What is mended inside the run."""

TOO_MANY = (is_there_twice, belongs_to_nobody)

REBUILT = (deletes_a_run, has_a_point_twice, has_another_param, has_another_value)

STUDY_REBUILT = (the_study_is_deleted, the_study_has_another_seed)


@pytest.mark.parametrize(
    "damage", [*ONLY_MENDED, *TOO_MANY, *REBUILT, *STUDY_REBUILT], ids=lambda damage: damage.__name__
)
def test_damage_is_found_and_mended(
    damage: Callable[[Damaged, int], str], damaged: Damaged, call: Call, rng: np.random.Generator
) -> None:
    number = 5 * int(rng.integers(0, 2))  # one that was trained to its end
    before, ids = damaged.content(), damaged.ids()
    assert call("verify").code == 0
    line = damage(damaged, number)
    said = call("verify")
    assert said.code == 1
    assert line in said.out
    assert said.out.splitlines()[-1].endswith(
        f"mend with: searcher repair mixed --tracking-uri {damaged.uri}"
    )
    mended = call("repair")
    assert mended.code == 0, mended
    assert line in mended.out and "MLflow agrees with Optuna's store on 7 trials" in mended.out
    assert call("verify").code == 0
    assert damaged.content() == before
    changed = {number for number, run_id in damaged.ids().items() if ids[number] != run_id}
    expected = {number} if damage in REBUILT else {STUDY} if damage in STUDY_REBUILT else set()
    assert changed == expected, "runs that were right stay as they are"


def test_all_damages_at_once_are_mended(damaged: Damaged, call: Call) -> None:
    before = damaged.content()
    lines = [deletes_a_run(damaged, 0), loses_a_batch(damaged, 5), stays_running(damaged, 4)]
    lines += [has_another_param(damaged, 6), is_there_twice(damaged, 2), the_study_stays_running(damaged, 0)]
    said = call("verify")
    assert said.code == 1 and all(line in said.out for line in lines)
    assert call("repair").code == 0
    assert damaged.content() == before


def test_a_record_that_is_gone_is_made_anew(damaged: Damaged, searcher: Call, mixed: Path) -> None:
    before = damaged.content(elsewhere=True)
    for name in ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm"):
        (mixed / name).unlink(missing_ok=True)
    anew = Path(mixed, "new", "..", "mlflow.db")  # by another text: MLflow goes on with a file it has open
    (mixed / "new").mkdir()
    where = ("mixed", "--tracking-uri", f"sqlite:///{anew}")
    said = searcher("verify", *where)
    assert said.code == 2 and "there is no MLflow record" in said.err
    repaired = searcher("repair", *where)
    assert repaired.code == 0 and "study: run: expected one, found none" in repaired.out
    assert (mixed / "mlflow.db").exists() and searcher("verify", *where).code == 0
    assert Damaged(anew.parent).content(elsewhere=True) == before


def test_curves_survive_where_the_signals_are_lost(damaged: Damaged, call: Call, mixed: Path) -> None:
    before = damaged.content()
    (mixed / "searcher-runs" / "mixed" / "00005" / "signals.npz").unlink()
    has_another_param(damaged, 5)
    said = call("repair")
    assert said.code == 0
    assert "the curves of 1 trials (5) were not compared" in said.err
    after = damaged.content()
    assert after[5][5] == before[5][5], "the curves"


@pytest.mark.usefixtures("mixed")
def test_a_study_that_is_run_is_not_repaired(call: Call) -> None:
    with study_lock(Path("searcher-runs/mixed"), "mixed", "sqlite:///studies.db"):
        said = call("repair")
        assert said.code == 2 and "being run by another process" in said.err
        said = call("verify")
        assert said.code == 1 and "the study is being run" in said.err
        assert said.out.splitlines()[0] == "study: status: expected RUNNING, found FINISHED"


def test_a_study_that_is_not_there(workplace: Path, searcher: Call) -> None:
    for command in ("verify", "repair"):
        said = searcher(command, "nothing")
        assert said.code == 2 and "no study 'nothing' is recorded" in said.err
    assert not (workplace / "mlflow.db").exists()
