# What a newcomer types: `make demo`, then `make test`. Needs Python 3.11 or newer, git and make.
.DEFAULT_GOAL := help
.PHONY: help demo demo-reset install test lint format bench lock

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := portal/requirements
PORT ?= 8000
EMULATOR_PORT ?= 8044
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:
	@echo "make demo        start the portal with sample projects and a stand-in for Base44 (PORT=8000 EMULATOR_PORT=8044)"
	@echo "make demo-reset  the same, after deleting the demo's data"
	@echo "make install     make .venv with everything that development needs"
	@echo "make test        run the tests: on SQLite, and again on PostgreSQL and Redis where they answer"
	@echo "make lint        ruff, mypy, layers, migrations, templates"
	@echo "make format      let ruff and djlint rewrite what they can"
	@echo "make bench       measure speed against the Base44 CLI"
	@echo "make lock        pin the newest versions that $(REQUIREMENTS)/*.in allow"

demo: $(BIN)/.base
	@$(BIN)/python manage.py demo --port "$(PORT)" --emulator-port "$(EMULATOR_PORT)"

demo-reset: $(BIN)/.base
	@$(BIN)/python manage.py demo --reset --port "$(PORT)" --emulator-port "$(EMULATOR_PORT)"

install: $(BIN)/.dev

test: $(BIN)/.dev
	@$(BIN)/python tests/run.py $(ARGS)

lint: $(BIN)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -p no:cacheprovider tests/test_architecture.py
	PORTAL_TESTING=1 DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint --lint --quiet templates

format: $(BIN)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint --reformat --quiet templates

bench: $(BIN)/.dev
	@$(BIN)/python -m tests.bench.run $(ARGS)

lock: $(BIN)/python
	@sh $(REQUIREMENTS)/lock.sh $(BIN)/python

# Only what running needs: the demo starts sooner.
$(BIN)/.base: $(BIN)/python $(REQUIREMENTS)/base.txt
	@test -e $(BIN)/.dev || echo "Installing dependencies into $(VENV) ..."
	@test -e $(BIN)/.dev || $(BIN)/python -m pip install --quiet --require-hashes -r $(REQUIREMENTS)/base.txt
	@touch $@

$(BIN)/.dev: $(BIN)/python $(REQUIREMENTS)/dev.txt
	@echo "Installing development dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r $(REQUIREMENTS)/dev.txt
	@touch $@ $(BIN)/.base

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "$(PYTHON) was not found. Install Python 3.11 or newer, or say which to use: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The portal needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Say which to use: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv or pip. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
