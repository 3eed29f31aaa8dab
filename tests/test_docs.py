"""The documents keep to the product: names, defaults, links and commands."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from diagnostics import RULES, Verdict
from searcher.catalog import shipped
from searcher.checks import check
from searcher.cli import main
from searcher.dispatch import Dispatch
from searcher.launchers import LAUNCHERS
from searcher.samplers import PRUNERS, SAMPLERS
from searcher.spec import FURTHER, Metric, Search, StudySpec, parse_spec
from trainers.config import SETTINGS, config_from, default_of
from trainers.data import DATASETS
from trainers.data.datasets import FORMATS
from trainers.loop import train
from trainers.losses import metric_names
from trainers.models import MODELS
from trainers.parts.activations import ACTIVATIONS
from trainers.parts.augmentations import AUGMENTATIONS
from trainers.parts.dropouts import DROPOUTS
from trainers.parts.inits import INITS
from trainers.parts.norms import NORMS
from trainers.parts.optimizers import OPTIMIZERS
from trainers.parts.scalings import SCALINGS
from trainers.parts.schedules import SCHEDULES

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "study-files.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

NAMES: dict[str, Iterable[str]] = {
    "settings": SETTINGS,
    "samplers": SAMPLERS,
    "pruners": PRUNERS,
    "launchers": LAUNCHERS,
    "activations": ACTIVATIONS,
    "norms": NORMS,
    "inits": INITS,
    "dropouts": DROPOUTS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "scalings": SCALINGS,
    "augmentations": AUGMENTATIONS,
    "models": MODELS,
    "data sets": DATASETS,
    "formats": FORMATS,
    "metrics": metric_names("auto"),
    "keys of a study": [name for name in StudySpec.model_fields if name != FURTHER],
    "keys of [metric]": Metric.model_fields,
    "keys of [search]": Search.model_fields,
    "keys of [dispatch]": Dispatch.model_fields,
}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for kind, body in FENCE.findall(document.read_text(encoding="utf-8")) if kind == language]


def inline_code(document: Path) -> list[str]:
    """Everything between single backticks, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", document.read_text(encoding="utf-8")))


def shown_commands(document: Path) -> list[list[str]]:
    """Every command of searcher a document shows, in words."""
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    words = [
        shlex.split(text, comments=True) for text in [*lines, *inline_code(document)] if "searcher" in text
    ]
    return [command[1:] for command in words if len(command) > 1 and command[0] == "searcher"]


@cache
def options_of(command: str) -> frozenset[str]:
    """The options of a command, from its own help; empty for a command that is not there."""
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(StringIO()), pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    return (
        frozenset(re.findall(r"(?<![\w-])--[a-z-]+", out.getvalue()))
        if ended.value.code == 0
        else frozenset()
    )


@pytest.mark.parametrize("kind", NAMES)
def test_the_reference_names_everything(kind: str) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    code = set(inline_code(REFERENCE)) | set(re.findall(r"^\[(\w+)\]", text, re.MULTILINE))
    known = {word for entry in code for word in re.findall(r"[\w.-]+", entry)}
    assert [name for name in NAMES[kind] if name not in known] == []


def test_the_reference_gives_each_setting_its_own_row_and_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", _settings_part(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(SETTINGS)
    wrong = {name: shown for name, shown in rows if _value(shown) != default_of(name)}
    assert wrong == {}


@pytest.mark.parametrize("model", [Metric, Search, Dispatch])
def test_the_reference_gives_the_defaults_of_the_sections(model: type[Metric | Search | Dispatch]) -> None:
    section = (
        REFERENCE.read_text(encoding="utf-8").split(f"## `[{model.__name__.lower()}]`")[1].split("\n## ")[0]
    )
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", section, re.MULTILINE))
    assert list(rows) == list(model.model_fields)
    for name, field in model.model_fields.items():
        default = getattr(field.default, "name", field.default)
        assert _value(rows[name]) == default, name


def test_the_example_of_the_reference_is_a_study() -> None:
    for block in blocks(REFERENCE, "toml"):
        check(parse_spec(tomllib.loads(block), "study-files.md", block), "study-files.md", block)


def test_the_forms_of_a_space_in_the_reference_are_read() -> None:
    section = REFERENCE.read_text(encoding="utf-8").split("## `[space]`")[1].split("\n## ")[0]
    forms = re.findall(r"^\| [^|]+ \| `(.+?)` \|", section, re.MULTILINE)
    assert len(forms) >= 5
    for form in forms:
        space = {"optimizer": ["sgd", "adam"], **tomllib.loads(form)}
        check(parse_spec({"name": "x", "space": space, "search": {"trials": 1}}, form), form)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(document: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if (
            not file.exists()
            or ROOT not in [file, *file.parents]
            or (anchor and anchor not in _anchors(file))
        ):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_of_the_house_that_are_named_are_there(document: Path) -> None:
    path = re.compile(r"(searcher|trainers|diagnostics|studies|tests|scripts|examples|docs)/[\w./-]*")
    named = [code for code in inline_code(document) if path.fullmatch(code)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_shown_commands_and_their_options_are_there(document: Path) -> None:
    wrong = []
    for command, *words in shown_commands(document):
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        if not options_of(command) or options - options_of(command):
            wrong.append(" ".join([command, *words]))
    assert wrong == []


def test_commands_are_found_at_all() -> None:
    assert {"run", "show", "best", "ui", "list"} <= {words[0] for words in shown_commands(ROOT / "README.md")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_shown_studies_are_there(document: Path) -> None:
    names = {entry.name for entry in shipped()}
    runs = [words[1] for words in shown_commands(document) if words[0] == "run" and len(words) > 1]
    there = [folder / name for name in runs for folder in (ROOT, ROOT / "examples")]
    lost = [
        name for name in runs if name not in names and not any(p.is_file() for p in there if p.match(name))
    ]
    assert [name for name in lost if name != "STUDY"] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_shown_targets_of_make_are_there(document: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join([*blocks(document, "sh"), *inline_code(document)])
    assert set(re.findall(r"^make (\w+)", text, re.MULTILINE)) <= targets


def test_every_shipped_study_is_told_of() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [entry.name for entry in shipped() if f"`{entry.name}`" not in text] == []


@pytest.mark.parametrize("data", ["digits", "diabetes"])
def test_every_signal_and_fact_of_a_training_is_explained(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    on = {"norm": "batch", "activation": "tanh", "dropout": 0.2, "clip_norm": 1.0, "weight_decay": 0.1}
    messages = list(train(config_from({"data": data, "epochs": 2, "batch_size": 64, **on})))
    signals = {name for message in messages for name in message.signals}
    facts = {name for message in messages for name in (*message.facts, *message.signals.facts)}
    assert len(signals) > 40 and len(facts) > 40
    metrics = {
        f"{split}_{name.split('_', 1)[1]}" for split in ("train", "val") for name in metric_names("auto")
    }
    assert sorted((signals | facts) - _explained() - metrics) == []


def test_every_rule_and_every_verdict_has_its_place_in_the_document_of_diagnoses() -> None:
    text = (ROOT / "docs" / "diagnoses.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### `([\w-]+)`\n(.*?)(?=^#)", text, re.MULTILINE | re.DOTALL)
    assert sorted(name for name, _ in sections) == sorted(rule.name for rule in RULES)
    for name, section in sections:
        heads = re.findall(r"^- \*\*([\w ]+)\*\*", section, re.MULTILINE)
        assert heads in (["means", "looks at", "silent when", "do"], ["means", "looks at", "do"]), name
    table = text.split("## Verdicts")[1].split("**Statistics**")[0]
    assert [verdict for verdict in Verdict if f"`{verdict}`" not in table] == []


def test_every_fact_that_is_read_is_explained() -> None:
    read = re.compile(r"facts(?:\.get\(|\[)\"(\w+)\"")
    names = {name for path in (ROOT / "diagnostics").rglob("*.py") for name in read.findall(path.read_text())}
    assert len(names) > 30
    assert sorted(names - _explained()) == []


def _explained() -> set[str]:
    """Every name that the document of signals and facts has between backticks."""
    return {name for code in inline_code(ROOT / "docs" / "signals.md") for name in re.findall(r"\w+", code)}


def _settings_part() -> str:
    return REFERENCE.read_text(encoding="utf-8").split("\n## Settings")[1]


def _value(shown: str) -> object:
    return None if shown == "not set" else tomllib.loads(f"value = {shown.strip('`')}")["value"]


def _anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
