"""Samplers that try every point once end with the last one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from searcher.cli import main
from searcher.opening import load_study

TRAINER = """
from trainers.progress import Progress

def train(settings):
    for epoch in (1, 2, 3, 4):
        yield Progress(epoch, epoch, 4, {"val_loss": settings["a"] * settings["b"] / epoch})
"""


@pytest.mark.parametrize("more", [0, 3], ids=["the budget fits", "the budget is larger"])
@pytest.mark.parametrize("sampler", ["grid", "brute-force"])
def test_every_point_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, more: int
) -> None:
    monkeypatch.chdir(tmp_path)
    module = f"every_point_{random.randrange(10**12)}"
    Path(f"{module}.py").write_text(TRAINER, encoding="utf-8")
    a, b = random.sample(range(1, 100), 3), random.sample(range(1, 100), 2)
    Path("study.toml").write_text(
        f'name = "all"\n[train]\ntrainer = "{module}:train"\n[space]\na = {a}\nb = {b}\n'
        f'[search]\nsampler = "{sampler}"\npruner = "none"\ntrials = {6 + more}\n',
        encoding="utf-8",
    )
    for _ in ("begun", "run again"):
        assert main(["run", "study.toml", "--launcher", "inprocess", "--no-tracking"]) == 0
        results = load_study("all", "sqlite:///studies.db").results()
        points = [(r.settings["a"], r.settings["b"]) for r in results]
        assert sorted(points) == sorted((x, y) for x in a for y in b)
