"""A study on MLflow's own pages, in a real browser: its saved views, with every trial in its colour.

The format of a saved view is MLflow's own and not documented; this is what notices when it changes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mixed_study import study_file
from mlflow import MlflowClient
from playwright.sync_api import Page, sync_playwright

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is on this machine: apt-get install chromium"),
    pytest.mark.timeout(600),
]

TRIALS = 23
START_SECONDS, DRAW_SECONDS = 240, 120

COUNT_STROKES = """
    const {clearRect, stroke} = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function(...box) {
        this.canvas.strokes = [];
        return clearRect.apply(this, box);
    };
    CanvasRenderingContext2D.prototype.stroke = function(...path) {
        (this.canvas.strokes ??= []).push(this.strokeStyle);
        return stroke.apply(this, path);
    };
"""
"""Keeps, with every canvas, the colours of the lines that were drawn since it was last cleared."""

LINES = "() => document.querySelector('.parcoords canvas.foreground')?.strokes ?? []"
AXES = "() => [...document.querySelectorAll('.parcoords .dimension .label')].map(label => label.textContent)"
DOTS = """() => Object.fromEntries([...document.querySelectorAll('.ag-row[row-id]')].flatMap(row => {
    const dot = [...row.querySelectorAll('*')].find(part => part.style.backgroundColor);
    return dot ? [[row.getAttribute('row-id'), dot.style.backgroundColor]] : [];
}))"""
PLOTS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => ({
    x: plot.layout.xaxis.title.text,
    colours: plot.data.flatMap(trace => trace.mode === 'lines' ? [] : trace.marker.color),
}))"""
"""Each plot's colours: of its points, or of its lines; those without points are the shadows of others."""


@dataclass(frozen=True)
class Served:
    """A recorded study on MLflow's pages: the links of its views, the verdict and end of every run."""

    links: dict[str, str]
    verdicts: dict[str, Verdict]
    outcomes: dict[str, str]

    def colours(self, outcome: str = "") -> Counter[str]:
        """How many of the runs that ended so have each colour."""
        runs = (run for run in self.verdicts if outcome in self.outcomes[run])
        return Counter(colour_of(self.verdicts[run]) for run in runs)


def colour_of(verdict: Verdict) -> str:
    """A verdict's colour, as a browser says it."""
    red, green, blue = (int(VERDICT_COLOUR[verdict][place : place + 2], 16) for place in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def as_rgb(colour: str) -> str:
    """`#112233` as a browser says it; anything else as it is."""
    if not colour.startswith("#"):
        return colour
    return "rgb({}, {}, {})".format(*(int(colour[place : place + 2], 16) for place in (1, 3, 5)))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A study with trials of all fates, and `searcher ui` on its record."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "study.toml").write_text(study_file(int.from_bytes(os.urandom(2)), TRIALS))
    searcher = [sys.executable, "-m", "searcher.cli"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    subprocess.run([*searcher, "run", "study.toml", "--json"], cwd=folder, env=environment, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*searcher, "ui", "mixed", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        links = dict(_links(server))
        _wait_for(f"http://127.0.0.1:{port}/health", server)
        client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
        text = "tags.`searcher.kind` = 'trial'"
        runs = client.search_runs([client.get_experiment_by_name("mixed").experiment_id], text)
        tags = {run.info.run_id: run.data.tags for run in runs}
        yield Served(
            links,
            {run: Verdict(tags[run]["verdict"]) for run in tags},
            {run: tags[run]["outcome"] for run in tags},
        )
    finally:
        os.killpg(server.pid, 15)
        server.communicate(timeout=30)


def _links(server: subprocess.Popen[str]) -> Iterator[tuple[str, str]]:
    """Name and link of each view, as `searcher ui` prints them."""
    assert server.stdout is not None
    for line in server.stdout:
        name, found, rest = line.strip().partition("http://")
        if "viewStateShareKey" in rest:
            yield name.strip(), found + rest
        if "searcher-cost" in rest:
            return


def _wait_for(address: str, server: subprocess.Popen[str]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, "the server left"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no server at {address} after {START_SECONDS} s")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of a browser without a window, tall enough that everything is drawn."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 2000})
        page.set_default_timeout(DRAW_SECONDS * 1000)
        page.add_init_script(COUNT_STROKES)
        yield page
        browser.close()


def opened(page: Page, served: Served, name: str, runs: int) -> Page:
    """The view, once its list of runs is complete."""
    page.goto("about:blank")  # or a change behind the # would not load the page anew
    page.goto(served.links[name])
    page.get_by_text(f"{runs} matching runs").wait_for()
    assert page.get_by_test_id("saved-views-trigger").inner_text().strip() == name
    assert not page.get_by_text("Error loading shared view state").count()
    return page


def settled(page: Page, script: str, enough: int) -> Any:
    """What a script gives, once it has given at least so much, twice the same."""
    end, last = time.monotonic() + DRAW_SECONDS, None
    while time.monotonic() < end:
        now = page.evaluate(script)
        if len(now) >= enough and now == last:
            return now
        last = now
        page.wait_for_timeout(500)
    raise AssertionError(f"after {DRAW_SECONDS} s there is only {last}")


SETTINGS = ["learning_rate.log10", "width", "norm", "shape", "power", "decay.log10"]

PARALLEL = {
    "All trials by objective": ["epochs_used", "objective"],
    "Why trials failed": ["onset_step", "verdict_code"],
    "Cost": ["step_time", "peak_memory_mb", "epochs_used", "seconds"],
}


def test_searcher_ui_prints_a_link_for_every_view(served: Served) -> None:
    assert set(served.links) == {*PARALLEL, "Curves of the best ten"}


@pytest.mark.parametrize("name", list(PARALLEL))
def test_every_trial_is_drawn_in_the_colour_of_its_verdict(name: str, served: Served, page: Page) -> None:
    view = opened(page, served, name, TRIALS)
    lines = settled(view, LINES, enough=1)
    assert len(lines) == TRIALS, "one line for every trial, none left out"
    if PARALLEL[name][-1] == "verdict_code":  # the pages colour lines by the last axis
        assert sorted(Counter(lines).values()) == sorted(served.colours().values())
    labels = [label.partition("...") for label in settled(view, AXES, enough=1)]  # long ones are cut
    for axis, (begin, _, end) in zip([*SETTINGS, *PARALLEL[name]], labels, strict=True):
        assert axis.startswith(begin) and axis.endswith(end)
    dots = settled(view, DOTS, enough=TRIALS)
    assert dots == {run: colour_of(verdict) for run, verdict in served.verdicts.items()}
    plots = settled(view, PLOTS, enough=4)
    for plot in plots:
        assert Counter(map(as_rgb, plot["colours"])) == served.colours(), plot["x"]


def test_the_curves_of_the_best_have_the_colours_of_their_verdicts(served: Served, page: Page) -> None:
    completed = served.colours("completed")
    assert 1 < completed.total() <= 10, "or not all of them are among the best ten"
    view = opened(page, served, "Curves of the best ten", completed.total())
    plots = settled(view, PLOTS, enough=2)
    for plot in plots:
        assert plot["x"] == "Step"
        assert Counter(map(as_rgb, plot["colours"])) == completed
