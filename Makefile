# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
NAME ?= interlock
# One process for the tests of each cluster, one for those that only compute.
WORKERS ?= 3

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: locks/dev.txt locks/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Interlock needs Python 3.11 or newer: set PYTHON=/path/to/python3")'
	@echo "installing Python packages into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@$(BIN)/uv pip install --quiet --python $(PY) --require-hashes -r locks/dev.txt
	@$(BIN)/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: .venv/.ready ## Install the Python packages (done by every other target)

.PHONY: demo
demo: .venv/.ready ## Promote a good version and take bad ones back, on a real cluster (root; a few minutes)
	@$(PY) -m dev.demo

.PHONY: demo-all
demo-all: .venv/.ready ## The same three times, also with a version equal to stable; one table (half an hour)
	@$(PY) -m dev.demo all

.PHONY: demo-down
demo-down: .venv/.ready ## Remove everything that the demo left for looking around
	@$(PY) -m dev.demo down

.PHONY: cluster
cluster: .venv/.ready ## Start a real local cluster with gateway and Prometheus (NAME=interlock)
	@$(PY) -m dev.cluster up --name $(NAME)

.PHONY: cluster-down
cluster-down: .venv/.ready ## Stop it and remove every trace (NAME=interlock)
	@$(PY) -m dev.cluster down --name $(NAME)

.PHONY: binaries
binaries: .venv/.ready ## Build and fetch what the cluster consists of, once
	@$(PY) -m dev.cluster build

.PHONY: test
test: binaries ## Run all tests (root: real pods, gateway and Prometheus are part of them)
	@$(PY) -m pytest -n $(WORKERS)

.PHONY: test-fast
test-fast: .venv/.ready ## Run the tests that need no cluster
	@$(PY) -m pytest tests/model tests/analysis tests/core tests/operator tests/adapters tests/simulation tests/cli tests/scenarios

.PHONY: test-kill
test-kill: binaries ## Kill the operator before and after every one of its writes, on a real API server
	@$(PY) -m pytest tests/cluster/kill --every-write

.PHONY: bench
bench: binaries ## Print the figures of dev/bench
	@$(PY) -m dev.bench

.PHONY: lint
lint: .venv/.ready ## Format, lint, types, import contract, generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(PY) -m interlock.model.crd --check
	@$(PY) -m dev.manifests --check
	@$(PY) -m dev.lifecycle --check

.PHONY: format
format: .venv/.ready ## Format the code and write the generated files
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(PY) -m interlock.model.crd --write
	@$(PY) -m dev.manifests --write
	@$(PY) -m dev.lifecycle --write

.PHONY: lock
lock: .venv/.ready ## Resolve the dependencies anew and write the hash-locked requirements
	@$(PY) -m dev.lock

.PHONY: clean
clean: ## Remove .venv and caches inside the project
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
