"""The examples, and the README's own model, run as they are shown: in a folder of their own, two trials."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from searcher.cli import main
from searcher.opening import load_study
from searcher.spec import read_spec
from searcher.trial import TrialResult
from trainers.data import forget_data

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))
QUICKLY = ["--launcher", "inprocess", "--trials", "2", "--no-tracking"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder; modules that are imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget_data()
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def finished(study: str) -> list[TrialResult]:
    """The recorded results of a study."""
    return load_study(study, "sqlite:///studies.db").results()


def test_there_is_an_example_of_each_kind() -> None:
    assert [path.stem for path in EXAMPLES] == ["own_data", "own_model", "own_trainer"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_completes_its_trials(workplace: Path, example: Path) -> None:
    for file in (example, example.with_suffix(".py")):
        shutil.copy(file, workplace)
    assert main(["run", example.name, *QUICKLY]) == 0
    spec = read_spec(example)
    results = finished(spec.name)
    assert [str(result.outcome) for result in results] == ["completed", "completed"]
    for result in results:
        assert result.value is not None
        assert spec.metric.name in (result.best.metrics if result.best else {})
        assert set(result.sampled) == set(spec.space)
    assert main(["best", spec.name, "--model", "best.pt"]) == 0
    assert (workplace / "best.pt").stat().st_size > 0


def test_the_example_of_own_data_uses_the_setting_only_it_knows(workplace: Path) -> None:
    shutil.copy(ROOT / "examples" / "own_data.toml", workplace)
    shutil.copy(ROOT / "examples" / "own_data.py", workplace)
    assert main(["run", "own_data.toml", *QUICKLY, "--trials", "6"]) == 0
    digests = {r.settings["measurements"]: r.facts["data_digest"] for r in finished("own-data")}
    assert len(set(digests.values())) == len(digests) >= 2


def loose(text: str) -> str:
    """A text without its numbers and line breaks: how often is measured depends on the time it takes."""
    return re.sub(r"\d[\d.e+-]*", "#", " ".join(text.split()))


def test_the_loop_of_the_readme_prints_what_it_shows() -> None:
    example = ROOT / "examples" / "any_loop.py"
    done = subprocess.run([sys.executable, example], cwd=ROOT, capture_output=True, text=True, check=True)
    healthy, sick = done.stdout.split("--- learning rate")[1:]
    assert "warning" not in healthy and "fatal" not in healthy
    assert re.search(r"verdict: (improving|converged)", healthy)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## A diagnosis in your own loop")[1].split("\n## ")[0]
    code, shown = re.findall(r"^```\w+\n(.+?)^```$", section, re.MULTILINE | re.DOTALL)
    assert textwrap.indent(code, "    ") in example.read_text(encoding="utf-8")
    assert loose(sick).removeprefix("# ").startswith(loose(shown))


def test_the_own_model_of_the_readme_is_trained(workplace: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"^## Your own model$.+?^```python\n(.+?)^```$", readme, re.MULTILINE | re.DOTALL)
    command = re.search(r"^searcher (run .*my_model:build.*)$", readme, re.MULTILINE)
    assert code and command
    assert len([line for line in code[1].splitlines() if line.strip()]) <= 5
    Path("my_model.py").write_text(code[1], encoding="utf-8")
    assert main([*command[1].split(), *QUICKLY, "--set", "epochs=2"]) == 0
    results = finished("my-model")
    assert [result.settings["model"] for result in results] == ["my_model:build"] * 2
    assert all(result.values for result in results)
