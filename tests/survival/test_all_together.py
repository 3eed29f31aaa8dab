"""With all that steers a search at once, the same study and seed give the same trials, killed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed_studies import FOUR_EPOCHS, Killed, numbers

STUDY = """
name = "kills"
[train]
{train}
[space]
learning_rate = {{ low = 1e-4, high = 10.0, log = true }}
init = ["kaiming_normal", "normal"]
init_std = {{ low = 1e-3, high = 3.0, log = true, when = {{ init = "normal" }} }}
width = [16, 32, 64]
[[enqueue]]
learning_rate = 3e-4
init = "kaiming_normal"
[[enqueue]]
learning_rate = 9.0
[search]
sampler = {sampler}
pruner = {pruner}
seed = {seed}
trials = 10
audit = 0.5
constraints = ["parameters <= 5000"]
extend = 1.5
confirm = 2
[dispatch]
launcher = "inprocess"
state_seconds = 1e-6
"""

TPE = '{ name = "tpe", n_startup_trials = 3 }', '"asha"'
GP = '{ name = "gp", n_startup_trials = 3 }', '{ name = "forecast", n_startup_trials = 3, chance = 0.3 }'


@pytest.mark.parametrize(("sampler", "pruner"), [TPE, GP])
def test_the_same_trials_with_all_of_it_on(
    harness: Any, tmp_path: Path, rng: np.random.Generator, sampler: str, pruner: str
) -> None:
    text = STUDY.format(train=FOUR_EPOCHS, sampler=sampler, pruner=pruner, seed=numbers(rng))
    study = Killed(harness, tmp_path, text)
    told = [trial["told"] for trial in study.twin["trials"]]
    print([(one["outcome"], one["value"], one.get("confirms")) for one in told])
    assert told[0]["settings"]["learning_rate"] == 3e-4 and told[1]["settings"]["learning_rate"] == 9.0
    assert len(told) > 10, "leaders were repeated"
    for point in rng.choice(sorted(study.passed), 4, replace=False):
        study.at(rng, str(point))
