# The targets make their own virtual environment if there is none; nothing else is needed but
# git, make and python3 (3.11 or later) with its venv module.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check lint bench torture clean

help:
	@echo "make demo     events of three cities flow to three agencies; Ctrl-C stops"
	@echo "              on Apache Kafka, which is fetched: make demo ENGINE=kafka"
	@echo "make test     everything that CI runs: lint, types, layers, tests"
	@echo "make check    the fast part of it, under a minute"
	@echo "make lint     ruff, mypy --strict, import-linter"
	@echo "make bench    speed and memory, as ratios to peers in one run"
	@echo "make torture  long campaigns, all or one: make torture CAMPAIGN=broker"
	@echo "make clean    remove what these targets made"

ifeq ($(ENGINE),kafka)
demo: $(VENV)/development
	@$(BIN)/python -m ops.kafka demo $(ARGS)
else
demo: $(VENV)/runtime
	@$(BIN)/stadtbus demo $(ARGS)
endif

test: lint
	@$(BIN)/pytest

check: lint
	@$(BIN)/pytest -m "not slow and not kafka"

lint: $(VENV)/development
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/development
	@$(BIN)/python -m ops.bench $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

torture: $(VENV)/development
	@$(BIN)/python -m ops.torture $(CAMPAIGN) $(ARGS)

clean:
	rm -rf $(VENV) build dist stadtbus-demo stadtbus-demo-kafka .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no $(PYTHON). Install it: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Stadtbus needs Python 3.11 or later; this is $$($(PYTHON) --version). Install a newer one and say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is missing. Install it: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what Stadtbus needs into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/development: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what tests and benchmarks need into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@ $(VENV)/runtime
