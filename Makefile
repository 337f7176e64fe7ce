# Needs Python 3.11 or newer and GNU make 3.81 (the one of macOS) or newer; no root.

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	"$$python" $(NEW_ENOUGH) && echo "$$python" && break; done)
UV ?= uv
CHAOS_SECONDS ?= 600
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' $(UV) pip compile --quiet --universal --generate-hashes \
	--no-emit-index-url --python-version 3.11 pyproject.toml

# A finished environment notes where it was made. One that was interrupted, moved, or has lost its Python is made anew.
STALE := $(shell test "$$(cat .venv/locked 2>/dev/null)" = "$$(pwd)" && $(BIN)/python -c '' 2>/dev/null || echo stale)

.PHONY: help setup setup-dev run test chaos check format bench load lock stale
.NOTPARALLEL:

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: .venv/installed ## set up .venv with the parhelion command
setup-dev: setup .venv/developing ## the same with the tools for tests and checks

run: setup ## the demo: a deal won, a client churned, in a sandbox (Ctrl-C ends it)
	@$(BIN)/parhelion demo

test: setup-dev ## all tests
	@$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

chaos: setup-dev ## the tests under fire at length, then a storm for what is left of CHAOS_SECONDS (600), with CHAOS_SEED
	@started=$$(date +%s); \
	CHAOS_SECONDS=$(CHAOS_SECONDS) $(BIN)/python -m pytest -q --timeout 1200 --deselect tests/chaos/test_kills.py tests/chaos && \
	left=$$(($(CHAOS_SECONDS) + started - $$(date +%s))) && \
	CHAOS_SECONDS=$$((left > 120 ? left : 120)) $(BIN)/python -m tests.chaos.storm

check: setup-dev ## lint, formatting, types and import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy --explicit-package-bases worker workflows webhooks tests
	@$(BIN)/lint-imports --no-logo

format: setup-dev ## format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

bench: setup-dev ## measure onboardings per second and latencies
	@$(BIN)/python tests/bench/onboarding.py

load: setup-dev ## measure deliveries per second, the wait for a 202, and memory (about a minute)
	@$(BIN)/python tests/bench/intake.py

lock: ## write the lock files from pyproject.toml (needs uv; delete them first to raise versions)
	@$(COMPILE) --group build --output-file requirements.lock
	@$(COMPILE) --group dev --constraints requirements.lock --output-file requirements-dev.lock

.venv/locked: requirements.lock $(STALE)
	$(if $(shell "$(PYTHON)" $(NEW_ENOUGH) && echo yes),,$(error Python 3.11 or newer is needed; name it with make PYTHON=/path/to/python3))
	$(if $(shell "$(PYTHON)" -c 'import ensurepip' 2>/dev/null && echo yes),,$(error $(PYTHON) has no venv module: on Debian and Ubuntu, apt install python3-venv))
	@echo "Setting up .venv (about half a minute, once) …"
	@"$(PYTHON)" -m venv --clear .venv
	@$(PIP) --require-hashes --requirement requirements.lock
	@pwd > $@

.venv/installed: .venv/locked pyproject.toml
	@echo "Installing Parhelion into .venv …"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/developing: .venv/locked requirements-dev.lock
	@echo "Installing the development tools into .venv (about half a minute, once) …"
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@
