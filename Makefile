# `make demo` and `make test` work on a machine with Python 3.11+, git and make:
# scripts/setup.sh makes .venv and installs what is missing.
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
# Extra arguments: make run ARGS="--source camera:0 --objective 20x"
ARGS ?=

.PHONY: help setup setup-base train-env test-train demo run test lint format constraints clean distclean

help:
	@echo "make demo         run the whole job on the phantom microscope, no hardware needed"
	@echo "make run          open the live window           (ARGS=\"--source camera:0\")"
	@echo "make test         run the tests                  (ARGS=\"-k score -x\")"
	@echo "make lint         check style, types and layers"
	@echo "make format       rewrite the code in the house format"
	@echo "make setup        make .venv with the test tools"
	@echo "make train-env    make .venv-train with torch, to train and export the network"
	@echo "make constraints  refresh constraints.txt with the newest versions"
	@echo "make clean        remove caches and built files; make distclean: .venv and .venv-train too"

setup-base:
	@scripts/setup.sh base

setup:
	@scripts/setup.sh test

train-env:
	@scripts/setup.sh train

demo: setup-base
	@$(BIN)/her2scope demo $(ARGS)

run: setup-base
	@$(BIN)/her2scope $(ARGS)

# The second run opens real windows, on a virtual screen: painting, focus and
# window states differ from Qt's offscreen platform. With ARGS, which choose
# tests, there is only the first.
# Compiled modules are kept even where the user keeps none: the second run and
# each program that a test starts would compile them all again.
test: export PYTHONDONTWRITEBYTECODE :=
test: setup
	@QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)
	@if [ ! -d tests/gui ] || [ -n "$(strip $(ARGS))" ]; then :; \
	elif command -v xvfb-run >/dev/null && command -v xauth >/dev/null; then \
	    echo "make test: tests/gui again, in real windows on a virtual screen"; \
	    scripts/test_in_windows.sh $(BIN)/python; \
	else \
	    echo "make test: SKIPPED tests/gui in real windows: xvfb-run or xauth is missing"; \
	fi

# What needs torch, which the other tests leave out: training, and InstanSeg as a peer.
test-train: train-env
	@.venv-train/bin/python -m pytest tests/training tests/app/bench/test_peers.py $(ARGS)

# Every tool runs, so that one call shows everything there is to mend.
lint: setup
	@failed=; \
	for tool in "ruff check" "ruff format --check" mypy "lint-imports --no-logo" typos; do \
	    echo "== $$tool"; \
	    $(BIN)/$$tool || failed="$$failed $${tool%% *}"; \
	done; \
	if [ -n "$$failed" ]; then echo "make lint: failed:$$failed" >&2; exit 1; fi

format: setup
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

constraints: setup
	@$(BIN)/python scripts/refresh_constraints.py

clean:
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find her2scope scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf .venv .venv-train
