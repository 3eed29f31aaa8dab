"""The page of a report in a real browser: nothing is fetched, nothing fails, everything is drawn and fits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_report import empty_report, front_report, made_up_report

from searcher.report import write

playwright = pytest.importorskip("playwright.sync_api", reason="the browser is driven by playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

PHONE, DESKTOP = (390, 844), (1280, 900)
ALL_DRAWN = "html[data-drawn=all]"
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a made-up study."""
    return write(made_up_report(60), tmp_path_factory.mktemp("report"), ["html"])[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a page; whatever it complains of or fetches fails the test at its end."""
    complaints: list[str] = []
    contexts = []

    def open_(file: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=size == PHONE
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if "http" in request.url else None)
        page.goto(file.as_uri())
        page.wait_for_selector(ALL_DRAWN, timeout=60_000)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def unseen(page: Any) -> list[str]:
    """The plots that are to be seen and are not, or reach out of the page."""
    found: list[str] = page.eval_on_selector_all(
        "[data-plot]",
        """places => places.filter(place => {
            if (place.closest("details:not([open])")) return false;
            const drawing = place.querySelector(".main-svg");
            const box = drawing && drawing.getBoundingClientRect();
            return !box || box.width < 100 || box.height < 50 || box.right > innerWidth
                || !place.querySelector(".trace, .point, .heatmaplayer image");
        }).map(place => place.dataset.plot)""",
    )
    return found


def becomes(page: Any, expression: str, wanted: object) -> bool:
    """Whether an expression has a value within ten seconds."""
    for _ in range(100):
        if page.evaluate(expression) == wanted:
            return True
        page.wait_for_timeout(100)
    return False


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_plot_is_drawn_and_nothing_is_wider_than_the_screen(
    page_file: Path, opened: Open, size: tuple[int, int], scheme: str
) -> None:
    page = opened(page_file, size, scheme)
    assert unseen(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("further", [1, 3])
def test_a_pareto_front_is_drawn(tmp_path: Path, opened: Open, size: tuple[int, int], further: int) -> None:
    page = opened(write(front_report(40, further), tmp_path, ["html"])[0], size)
    assert unseen(page) == []
    assert page.locator("#front [data-plot]").count() == further
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_plots_follow_the_theme_while_the_page_is_open(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    colour = "getComputedStyle(document.querySelector('.xtick text')).fill"
    assert page.evaluate(colour) == "rgb(89, 98, 110)"
    page.emulate_media(color_scheme="dark")
    assert becomes(page, colour, "rgb(163, 172, 184)")
    assert unseen(page) == []


def test_what_is_folded_is_drawn_when_it_is_opened(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    folds = page.query_selector_all("details.fold")
    assert folds
    inside = "[data-plot] .main-svg"
    assert all(fold.query_selector(inside) is None for fold in folds)
    for fold in folds:
        fold.query_selector("summary").click()
        fold.wait_for_selector(inside)
    assert unseen(page) == []


def test_on_paper_folds_are_open_and_the_theme_is_light(
    page_file: Path, opened: Open, tmp_path: Path
) -> None:
    page = opened(page_file, scheme="dark")
    page.evaluate(
        """addEventListener("beforeprint", () => {
            const root = document.documentElement;
            root.dataset.folded = document.querySelectorAll("details.fold:not([open])").length;
            root.dataset.paper = getComputedStyle(document.body).backgroundColor;
            root.dataset.widest = Math.max(...[...document.querySelectorAll(".main-svg")]
                .map(drawing => drawing.getBoundingClientRect().width));
        })"""
    )
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    said = page.evaluate("({...document.documentElement.dataset})")
    assert said["folded"] == "0" and said["paper"] == "rgb(255, 255, 255)"
    assert float(said["widest"]) <= 688, "as wide as A4 less its margins"
    assert (tmp_path / "report.pdf").stat().st_size > 50_000
    assert page.evaluate("document.querySelectorAll('details.fold[open]').length") == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_a_study_file_is_copied_with_a_press(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.query_selector("#next .copy")
    button.click()
    page.wait_for_selector("#next .copy:text-matches('Copied|Selected')")
    chosen = page.evaluate("String(getSelection())") or page.evaluate("navigator.clipboard.readText()")
    assert chosen.startswith('name = "made-up-2"') and chosen.rstrip().endswith("trials = 60")


def test_the_keyboard_reaches_every_section(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for anchor in ("summary", "verdicts", "curves"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.hash") == f"#{anchor}"
    page.keyboard.press("Enter")
    page.wait_for_selector("nav a[href='#curves'][aria-current]")


def test_an_empty_study_is_a_page_too(opened: Open, tmp_path: Path) -> None:
    page = opened(write(empty_report(), tmp_path, ["html"])[0], PHONE)
    assert page.query_selector_all("[data-plot]") == []
    assert len(page.query_selector_all("section h2")) == 9
