# Every target sets up what it needs in $(VENV). Nothing but Python, git and make has to be there before.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
# PyTorch is large, and only the benchmarks need it.
BENCH_VENV ?= .venv-bench

# More workers than this cost more to start than they save.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips must not write to one environment at once.
.NOTPARALLEL:
.PHONY: help demo test test-all lint bench docs format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: PYTHON=python3.12 VENV=.venv DEMO_ARGS=... TEST_ARGS=... BENCH_ARGS=...'

demo: $(VENV)/.extra-plot ## run the demo
	$(BIN)/python examples/demo.py $(DEMO_ARGS)

test: $(VENV)/.extra-plot $(VENV)/.extra-test ## run the tests, without the slow ones
	$(PYTEST) -m "not slow and not gpu" $(TEST_ARGS)

test-all: $(VENV)/.extra-plot $(VENV)/.extra-test $(VENV)/.extra-bench ## run all tests, those against JAX included
	$(PYTEST) $(TEST_ARGS)

lint: $(VENV)/.extra-lint ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy nrx

bench: ## measure the CPU beside JAX and PyTorch, and write docs/benchmarks/cpu.md
	@$(MAKE) --no-print-directory VENV=$(BENCH_VENV) $(BENCH_VENV)/.extra-peers
	$(BENCH_VENV)/bin/python -m benchmarks cpu $(BENCH_ARGS)

docs: $(VENV)/.extra-plot $(VENV)/.extra-test ## run the code blocks of the README and the documentation
	$(BIN)/python -m pytest tests/test_docs.py

format: $(VENV)/.extra-lint ## format the code and fix what can be fixed mechanically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove build products and caches, and keep the environment
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# One stamp for each extra, so that the demo does not have to wait for the test tools.
$(VENV)/.extra-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "nrx needs Python 3.11 or newer, and '$(PYTHON)' is not: name one, as in make test PYTHON=python3.12" >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	    echo "'$(PYTHON)' lacks the venv module: install it, on Debian and Ubuntu with apt install python3-venv" >&2; \
	    exit 1; }
	$(PYTHON) -m venv $(VENV)

# An environment made with another Python would silently win over the one asked for.
version = $(shell $(1) -c 'import sys; print(*sys.version_info[:2])')
ifeq ($(origin PYTHON)$(wildcard $(BIN)/python),command line$(BIN)/python)
ifneq ($(call version,$(PYTHON)),$(call version,$(BIN)/python))
$(error $(VENV) was not made with $(PYTHON): remove it, or name another folder with VENV=.venv-other)
endif
endif
