# Everything runs in .venv, made with the machine's python3 (3.11 or newer). Stamp files in .venv/ remember what is
# installed, so a second run installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check layout lint mypy pyright contracts format docs servers clean

help:  ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*##/\1:/p' Makefile

demo: $(VENV)/.demo  ## Run the example: sign up, and a welcome mail is sent in the background
	@$(BIN)/python -m examples.signup

test: $(VENV)/.test servers  ## Run the whole suite (ARGS="-k name" for a part)
	@$(BIN)/pytest -n auto --dist worksteal $(ARGS)

check: docs layout lint mypy pyright contracts  ## Docs, format, lint, types, contracts between the rooms (-k: all of them)

layout: $(VENV)/.dev
	$(BIN)/ruff format --check

lint: $(VENV)/.dev
	$(BIN)/ruff check

mypy: $(VENV)/.dev
	$(BIN)/mypy

pyright: $(VENV)/.dev
	$(BIN)/pyright

contracts: $(VENV)/.dev
	$(BIN)/lint-imports --no-logo --no-cache

format: $(VENV)/.dev  ## Format and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: $(VENV)/.dev  ## Build the documentation into site/; a broken link fails
	$(BIN)/zensical build --clean --strict

# PostgreSQL, Valkey and Redis come as wheels and are started by the suite; PgBouncer and RabbitMQ come from Debian's packages,
# into .venv/servers. Where it cannot be fetched its tests are skipped, or fail in CI.
servers: $(VENV)/.test
	@$(BIN)/python -m tests.rigs.provision

clean:  ## Forget the environment and everything built
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# A fresh Debian's pip is too old for --group, so it is brought up to date first.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "stoker needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "python3 cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable . --group $(patsubst .%,%,$(notdir $@))
	@touch $@
