# Every target works alone on a fresh clone with Python, pip and make; the environment lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test check format bench

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@echo "setting up the environment in $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/searcher run digits-mlp
	@echo
	@echo "look closer with:  $(BIN)/searcher show digits-mlp   and   $(BIN)/searcher ui"

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m benchmarks
