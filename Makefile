# Every command a person needs; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
UV_VERSION := 0.13.9
export INTEREST_GRAPH_HOME ?= $(CURDIR)/.interest-graph
export DAGSTER_HOME ?= $(INTEREST_GRAPH_HOME)/dagster
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := 0
export HF_HUB_OFFLINE ?= 1

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: install
install: $(STAMP) ## set up .venv from the lock file

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

.PHONY: lock
lock: $(STAMP) ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --no-header --upgrade-package torch --output-file requirements.lock
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' requirements.lock

.PHONY: run
run: $(STAMP) ## the main job on the bundled sample
	$(BIN)/interest-graph run

.PHONY: test
test: $(STAMP) redis-server chromium ## every test that is not slow, a file to a process, on all cores
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --cov --cov-report=term:skip-covered

.PHONY: test-slow
test-slow: $(STAMP) redis-server chromium ## the tests marked slow
	$(BIN)/pytest -m slow

.PHONY: redis-server
redis-server:
	@command -v redis-server >/dev/null || { (apt-get update -qq && apt-get install -y -qq redis-server) >/dev/null 2>&1 || echo "redis-server is not installed: its tests will be skipped"; }

.PHONY: chromium
chromium:
	@command -v chromedriver >/dev/null || { (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver) >/dev/null 2>&1 || echo "chromium is not installed: the page's tests will be skipped"; }

.PHONY: check
check: $(STAMP) ## style, types, import rules, no pickle
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: dev
dev: $(STAMP) ## Dagster's UI and daemon on loopback
	$(BIN)/interest-graph prepare
	$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

.PHONY: serve
serve: $(STAMP) ## the recommendation service on loopback, with a page to try it
	$(BIN)/interest-graph serve

.PHONY: serve-features
serve-features: $(STAMP) ## Feast's feature server on loopback
	$(BIN)/interest-graph serve-features

.PHONY: bench
bench: $(STAMP) ## every benchmark, quick
	for name in $$(ls benchmarks/*.py | xargs -n1 basename | sed 's/\.py$$//' | grep -vE '^(__init__|report|program|windows|intervals|attacks|feedback_process|browsing|screenshots)$$'); do $(BIN)/python -m benchmarks.$$name --quick || exit 1; done

.PHONY: bench-quality
bench-quality: $(STAMP) ## every model on the published splits, in full; settings: python -m benchmarks.quality_choice
	$(BIN)/python -m benchmarks.quality

.PHONY: docs
docs: $(STAMP) ## write docs/tables.md and docs/config.md from the code
	$(BIN)/python -m orchestration.reference

.PHONY: screenshots
screenshots: $(STAMP) chromium ## take docs/page.png and docs/page-text.png of the sample that `make run` published
	$(BIN)/python -m benchmarks.screenshots
