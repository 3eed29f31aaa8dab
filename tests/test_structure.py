"""The house rules that a linter does not know: sizes, names, doors, and what loading costs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagnostics.rules import RULES
from searcher.catalog import Entry, shipped
from searcher.checks import read_checked
from searcher.spec import read_spec

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("diagnostics", "trainers", "searcher", "studies")
FOLDERS = (*PACKAGES, "benchmarks", "tests", "scripts", "examples")
LONGEST_FILE, LONGEST_FUNCTION = 300, 40
HEAVY = ("torch", "mlflow", "optuna")

FILES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "__pycache__" not in path.parts
]
MODULES = sorted(
    name
    for package in PACKAGES
    for name in (package, *(m.name for m in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")))
)
TABLES = {
    "searcher.launchers": ("LAUNCHERS",),
    "searcher.samplers": ("SAMPLERS", "PRUNERS"),
    "trainers.data.datasets": ("DATASETS", "FORMATS"),
    "trainers.losses": ("METRICS",),
    "trainers.models": ("MODELS",),
    "trainers.parts.activations": ("ACTIVATIONS",),
    "trainers.parts.augmentations": ("AUGMENTATIONS",),
    "trainers.parts.dropouts": ("DROPOUTS",),
    "trainers.parts.inits": ("INITS",),
    "trainers.parts.norms": ("NORMS",),
    "trainers.parts.optimizers": ("OPTIMIZERS",),
    "trainers.parts.scalings": ("SCALINGS",),
    "trainers.parts.schedules": ("SCHEDULES",),
}


def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def too_long(tree: ast.Module) -> Iterator[str]:
    """Functions with more lines than allowed; a docstring does not count."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            size = (node.end_lineno or 0) - body[0].lineno + 1
            if size > LONGEST_FUNCTION:
                yield f"{node.name}: {size} lines"


def own_imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every `from <our module> import <name>`, lazy ones in functions among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            yield from ((node.module, alias.name) for alias in node.names)


def brought_in(node: ast.stmt) -> list[ast.alias]:
    """What a statement of a package brings in; names for the type checker alone are loaded when asked for."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return [alias for inner in node.body for alias in brought_in(inner)]
    light = ("__future__", "typing")
    return node.names if isinstance(node, ast.ImportFrom) and node.module not in light else []


def loaded_after(code: str) -> set[str]:
    """The heavy packages a fresh Python has loaded after `code`."""
    report = "import sys\nprint('loaded', *(name for name in sys.modules if '.' not in name))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = done.stdout.splitlines()[-1].split()
    assert names[0] == "loaded" and "sys" in names
    return set(HEAVY) & set(names)


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_functions_are_short() -> None:
    long = {str(path.relative_to(ROOT)): list(too_long(tree_of(path))) for path in FILES}
    assert {name: functions for name, functions in long.items() if functions} == {}


def test_a_long_function_would_be_seen() -> None:
    body = "\n".join(["    x = 1"] * LONGEST_FUNCTION)
    assert list(too_long(ast.parse(f'def f():\n    """Doc."""\n{body}'))) == []
    assert list(too_long(ast.parse(f"class A:\n  def f():\n{body}\n    x = 2"))) == ["f: 41 lines"]


def test_every_package_folder_has_an_init_and_no_folder_of_tests_has() -> None:
    folders = {path.parent for path in FILES if path.relative_to(ROOT).parts[0] in PACKAGES}
    assert len(folders) > len(PACKAGES)
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_file_is_a_drawer_for_anything() -> None:
    drawers = re.compile(r"^_?(utils?|helpers?|misc|common)$")
    assert [path for path in FILES if drawers.match(path.stem)] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name: str) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), "says in a line what it is"


def test_all_modules_are_found() -> None:
    assert {"searcher.cli", "trainers.loop", "diagnostics.rules.diverging"} <= set(MODULES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_from_our_own_modules_is_there(path: Path) -> None:
    for module_name, name in own_imports(tree_of(path)):
        module = importlib.import_module(module_name)
        assert hasattr(module, name) or f"{module_name}.{name}" in MODULES, f"{module_name}.{name}"


@pytest.mark.parametrize("name", [n for n in MODULES if hasattr(importlib.import_module(n), "__all__")])
def test_all_names_what_is_offered(name: str) -> None:
    module = importlib.import_module(name)
    offered = list(module.__all__)
    assert sorted(set(offered)) == sorted(offered), "each name once"
    assert [entry for entry in offered if not hasattr(module, entry)] == []
    file = Path(str(module.__file__))
    body = tree_of(file).body
    public = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    if file.name == "__init__.py":  # what a package brings in, it offers
        public |= {alias.name for node in body for alias in brought_in(node)}
    assert {entry for entry in public if not entry.startswith("_")} - {"annotations"} == set(offered)


@pytest.mark.parametrize(("module", "table"), [(m, t) for m, tables in TABLES.items() for t in tables])
def test_tables_map_plain_names_to_parts(module: str, table: str) -> None:
    entries = getattr(importlib.import_module(module), table)
    assert entries
    assert [name for name in entries if not re.fullmatch(r"\.?[a-z][a-z0-9]*([_-][a-z0-9]+)*", name)] == []
    assert [name for name, part in entries.items() if part is None] == []


def test_every_rule_has_a_file_and_every_file_a_rule() -> None:
    files = {path.stem for path in (ROOT / "diagnostics" / "rules").glob("*.py")} - {"__init__"}
    assert {rule.name.replace("-", "_") for rule in RULES} == files
    assert all(rule.source for rule in RULES)


@pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
def test_a_shipped_study_has_no_mistake(entry: Entry) -> None:
    spec = read_spec(entry.path)
    assert read_checked(entry.path, {}) == spec
    assert spec.name == entry.path.stem and spec.question


@pytest.mark.parametrize(
    "code",
    [
        "import diagnostics",
        "import studies",
        "from searcher.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from searcher.cli import main\ntry:\n    main(['run', '--help'])\nexcept SystemExit:\n    pass",
        "from searcher.cli import main\nmain(['list'])",
    ],
    ids=["diagnostics", "studies", "help", "run-help", "list"],
)
def test_light_doors_load_nothing_heavy(code: str) -> None:
    assert loaded_after(code) == set()


def test_something_heavy_would_be_seen() -> None:
    assert loaded_after("import torch") == {"torch"}


def test_a_check_holds_the_contracts_between_the_floors() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ncheck:")[1].split("\n\n")[0]
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert tool in recipe
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert set(settings["root_packages"]) == set(PACKAGES)
    floors = [c["layers"] for c in settings["contracts"] if c["type"] == "layers" and "containers" not in c]
    assert floors == [["searcher", "trainers", "diagnostics", "studies"]]
    assert not [c["name"] for c in settings["contracts"] if c.get("ignore_imports")]
    inside = [c for c in settings["contracts"] if c.get("containers") == ["searcher"]]
    assert inside and all(c["exhaustive"] for c in inside)


def test_everything_that_has_to_hold_is_run() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make check" in script and "make test" in script
