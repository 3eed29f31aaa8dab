"""The pages of a report: what they say is the same everywhere, safe, small and well-formed."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from made_up_report import empty_report, front_report, made_up_report
from made_up_study import SPACE, Fails, cliff, made_up_study

from diagnostics import Verdict
from searcher.errors import SearcherError
from searcher.report import write
from searcher.report.numbers.build import build
from searcher.report.observations import Line
from searcher.report.pages.axes import TEMPLATE, THEME, Places, label
from searcher.report.pages.blocks import Cards, Figure, Figures, Table
from searcher.report.pages.html import to_html
from searcher.report.pages.markdown import escaped, to_markdown
from searcher.report.pages.plain import to_json
from searcher.report.pages.sections import page_of
from searcher.report.study_report import StudyReport

EVIL = "</script><script>alert(1)</script> & <b>`*|_x"
"""A name that ends elements, opens others, and breaks tables."""

LIMIT = 6_000_000
"""Bytes a page may have."""


@pytest.fixture(scope="module")
def report() -> StudyReport:
    """A report on sixty made-up trials."""
    return made_up_report(60)


REPORTS = {
    "empty": empty_report,
    "one-trial": lambda: made_up_report(1),
    "two-trials": lambda: made_up_report(2, seed=5),
    "sixty-trials": lambda: made_up_report(60),
    "front": lambda: front_report(60),
    "front-of-four": lambda: front_report(7, further=3),
}


class Read(HTMLParser):
    """What a browser finds in a page: its words, its data, its ids, where it would fetch from."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.ids: list[str] = []
        self.places: list[str] = []
        self.fetched: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        self.places += [given["data-plot"]] if "data-plot" in given else []
        self.fetched += [given[name] for name in ("src", "href") if name in given]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "elements are closed in their order"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif data.strip() and self.open[-1] != "style":
            self.words.append(" ".join(data.split()))


def spoilt(part: Any) -> Any:
    """A report in which every name and sentence is evil, but for those that we give ourselves."""
    kept = ({verdict.value for verdict in Verdict}, {"maximize", "fatal", "info", "any failure"})
    if isinstance(part, str):
        return part if any(part in names for names in kept) or not part else f"{part} {EVIL}"
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        values = {field.name: spoilt(getattr(part, field.name)) for field in dataclasses.fields(part)}
        return replace(part, **values)
    if isinstance(part, tuple):
        return tuple(spoilt(one) for one in part)
    return {spoilt(k): spoilt(v) for k, v in part.items()} if isinstance(part, dict) else part


def figures_of(report: StudyReport) -> Iterator[Figure]:
    """Every figure of a report."""
    for section in page_of(report).sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                yield block
            elif isinstance(block, Figures):
                yield from block.figures
            elif isinstance(block, Cards):
                yield from (card.figure for card in block.cards if card.figure)


def tables_of(report: StudyReport) -> Iterator[Table]:
    """Every table of a report, those behind plots among them."""
    for section in page_of(report).sections:
        for block in section.blocks:
            table = block if isinstance(block, Table) else getattr(block, "table", None)
            if table is not None:
                yield table


def in_colours(part: Any) -> Any:
    """A plot in which names of the theme's colours are colours."""
    if isinstance(part, str):
        return "#123456" if part.removeprefix("$") in THEME and part.startswith("$") else part
    if isinstance(part, dict):
        return {name: in_colours(value) for name, value in part.items()}
    return [in_colours(one) for one in part] if isinstance(part, list | tuple) else part


@pytest.mark.parametrize("name", REPORTS)
def test_plotly_knows_every_word_of_every_plot(name: str) -> None:
    figures = list(figures_of(REPORTS[name]()))
    assert len(figures) == len({figure.key for figure in figures})
    assert bool(figures) is (name != "empty")
    for figure in figures:
        go.Figure(in_colours(dict(figure.plot)))  # raises for a word or a value that it does not know
        assert "$" not in json.dumps(in_colours(dict(figure.plot))), figure.key
    go.layout.Template(in_colours(dict(TEMPLATE)))


def test_a_wrong_word_in_a_plot_would_be_seen() -> None:
    with pytest.raises(ValueError, match="colour"):
        go.Figure({"data": [{"type": "scatter", "marker": {"colour": "red"}}]})


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_is_well_formed_and_fetches_nothing(name: str) -> None:
    report = REPORTS[name]()
    read = Read(to_html(report))
    assert read.open == [] and len(read.ids) == len(set(read.ids))
    assert [place for place in read.fetched if not place.startswith(("#", "data:"))] == []
    anchors = [place.removeprefix("#") for place in read.fetched if place.startswith("#")]
    assert set(anchors) <= set(read.ids) and len(anchors) == len(page_of(report).sections) + 1
    plots = json.loads(read.scripts[0])
    assert sorted(plots["plots"]) == sorted(read.places)
    assert plots["theme"] == list(THEME)


def style() -> str:
    """The style sheet of the page."""
    return (Path(__file__).parents[2] / "searcher/report/pages/style.css").read_text()


def test_both_themes_have_every_colour() -> None:
    for name in THEME:
        assert len(re.findall(rf"--{name}: #[0-9a-f]{{6}};", style())) == 2, name


@pytest.mark.parametrize("name", REPORTS)
def test_every_section_is_there_in_its_order_and_says_something(name: str) -> None:
    report = REPORTS[name]()
    sections = page_of(report).sections
    assert [section.anchor for section in sections] == [
        *("summary", *(["front"] if report.pareto else []), "verdicts", "curves", "failures", "matters"),
        *("layers", "convergence", "next", "reproduce"),
    ]
    assert all(section.blocks for section in sections)
    text = to_markdown(report)
    places = [str(place) for place in range(1, len(sections) + 1)]
    assert re.findall(r"^## (\d+)\. ", text, re.M) == places
    for block in (block for section in sections for block in section.blocks):
        for figure in block.figures if isinstance(block, Figures) else [block]:
            if isinstance(figure, Figure):
                assert figure.caption or getattr(block, "caption", ""), f"{figure.key} says what to see"


def test_markdown_and_html_say_the_same(report: StudyReport) -> None:
    words = set(Read(to_html(report)).words)
    lines = to_markdown(report).splitlines()
    tables = list(tables_of(report))
    assert len(tables) > 10
    for table in tables:
        assert f"**{escaped(table.caption)}**" in lines and table.caption in words
        for row in table.rows:
            assert f"| {' | '.join(escaped(cell) for cell in row)} |" in lines
            assert {cell for cell in row if cell} <= words
    for block in (block for section in page_of(report).sections for block in section.blocks):
        caption = getattr(block, "caption", "")
        assert not caption or (caption in words and any(escaped(caption) in line for line in lines))


def test_json_has_all_numbers_and_names_those_it_lacks(report: StudyReport) -> None:
    odd = replace(
        report, curves=replace(report.curves, losses=(Line(0, "loss", "converged", (0,), (float("inf"),)),))
    )
    data = json.loads(to_json(odd))
    assert data["curves"]["losses"][0]["values"] == ["inf"]
    again = json.loads(to_json(report))
    assert again == json.loads(json.dumps(report.to_dict()))
    assert list(again) == [field.name for field in dataclasses.fields(StudyReport)]


def test_names_and_sentences_of_users_stay_text(report: StudyReport) -> None:
    evil = spoilt(report)
    html = to_html(evil)
    read = Read(html)
    assert len(read.scripts) == 3 and read.open == []
    assert "<script>alert" not in html and "</script><script>" not in html.replace("</script>\n<script>", "")
    assert any("</script><script>alert(1)</script> & <b>" in word for word in read.words)
    assert json.loads(to_json(evil))["study"].endswith(EVIL)
    markdown = to_markdown(evil)
    outside = re.sub(r"^(`{3,}).*?^\1$", "", markdown, flags=re.M | re.S)
    assert "<script" not in outside and "<b>" not in outside
    for table in tables_of(evil):
        lines = [line for line in outside.splitlines() if line.startswith(f"| {escaped(table.rows[0][0])} |")]
        assert lines, table.caption
        assert len(table.columns) + 1 in {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    for figure in figures_of(evil):
        assert "<b>" not in json.dumps(figure.plot), f"{figure.key} would take a name for a tag"


def test_a_code_block_cannot_be_closed_from_inside(report: StudyReport) -> None:
    text = "a = 1\n```\n# evil\n````"
    given = replace(report, next=replace(report.next, study_file=text))
    assert f"`````toml\n{text}\n`````" in to_markdown(given)


def test_one_and_true_are_two_choices(tmp_path: Path) -> None:
    places = Places([1, True, "1"], log=False)
    assert len({round(places.of(value, 0)) for value in (1, True, "1")}) == 3
    spec, results = made_up_study(20, 1, space={**SPACE, "flag": [1, True]})
    assert to_html(build(spec, results, tmp_path))


def test_names_are_shown_by_plotly_as_they_are() -> None:
    assert label("a<b & c") == "a&lt;b &amp; c"
    places = Places(["<b>", "x"], log=False)
    assert places.axis()["ticktext"] == ["&lt;b&gt;", "x"]


def test_two_thousand_trials_make_a_small_page() -> None:
    small = made_up_report(100)
    lines = [replace(line, trial=i) for i in range(20) for line in small.curves.losses]
    lines = [replace(line, steps=line.steps[::5], values=line.values[::5]) for line in lines]
    slices = [
        replace(one, points=tuple(replace(p, trial=p.trial + 100 * i) for i in range(20) for p in one.points))
        for one in small.matters.slices
    ]
    large = replace(
        small,
        curves=replace(small.curves, losses=tuple(lines)),
        matters=replace(small.matters, slices=tuple(slices)),
    )
    assert len(large.curves.losses) == 2000 and max(len(one.points) for one in slices) == 2000
    assert len(to_html(large).encode()) < LIMIT
    drawn = [
        t for f in figures_of(large) if f.key == "losses" for t in f.plot["data"] if t["mode"] == "markers"
    ]
    assert 280 < sum(len(trace["x"]) for trace in drawn) < 320
    assert sum(int(re.findall(r"\((\d+)\)", trace["name"])[0]) for trace in drawn) == 2000


def test_files_are_written_whole_and_again(report: StudyReport, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "place"
    files = write(report, folder)
    assert [file.name for file in files] == ["report.html", "report.md", "report.json"]
    assert write(replace(report, study="again"), folder, ["md"]) == [folder / "report.md"]
    assert (folder / "report.md").read_text().startswith("# again: convergence report\n")
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "report.md"]


def test_a_folder_that_cannot_be_is_told(report: StudyReport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SearcherError, match=r"cannot be written to .*file/report\.md.*--out"):
        write(report, tmp_path / "file", ["md"])


@pytest.mark.parametrize(
    ("trials", "fails"),
    [(0, cliff), (1, cliff), (9, lambda _: "non-finite"), (40, cliff)],
    ids=["none", "one", "all failed", "forty"],
)
def test_studies_of_all_sizes_have_a_report(trials: int, fails: Fails, tmp_path: Path) -> None:
    spec, results = made_up_study(trials, seed=int(np.random.default_rng().integers(10**6)), fails=fails)
    for file in write(build(spec, results, tmp_path, ended="it was enough"), tmp_path):
        text = file.read_text()
        assert spec.name in text
        assert "nan" not in re.findall(r"\w+", text) or file.suffix == ".html", "a number is not there"
