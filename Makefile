# What one can do here; `make help` lists it. Written for GNU make 3.81 (macOS) and newer.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The newest Python that will do; `make PYTHON=/path/to/python3.12 test` takes another.
FITS := import sys; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3.13 python3.12 python3.11 python3
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	if $$python -c '$(FITS)' >/dev/null 2>&1; then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help up demo test lint types imports unit acceptance chaos bench format clean

help: ## List what one can do
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(STAMP) ## Start everything on this machine and keep it running
	$(BIN)/malgil up

demo: $(STAMP) ## Train a small bot on the examples and ask it; leaves nothing behind
	$(BIN)/malgil demo

test: lint types imports unit ## Check everything that takes no more than minutes

lint: $(STAMP) ## Check style and layout
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP) ## Check types
	$(BIN)/mypy

imports: $(STAMP) ## Check who may import whom
	$(BIN)/lint-imports

unit: $(STAMP) ## Run the tests but for the long ones
	$(BIN)/pytest -n 2 -m "not acceptance and not chaos"

acceptance: $(STAMP) ## Run the long tests: real servers, real training
	$(BIN)/pytest -m acceptance --timeout 900

chaos: $(STAMP) ## Kill everything at random, and see that nothing accepted is lost
	@failed=; for file in tests/chaos/test_*.py; do \
		echo "$$file"; $(BIN)/pytest -m chaos "$$file" -s || failed="$$failed $$file"; \
	done; test -z "$$failed" || { echo "fell short:$$failed"; exit 1; }

bench: $(STAMP) ## Measure
	$(BIN)/python -m benchmarks

format: $(STAMP) ## Lay the code out, and mend what can be mended by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove the virtual environment and every cache
	rm -rf $(VENV) build dist malgil.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip's own configuration says where packages come from: a local index with torch for the CPU
# alone spares gigabytes where there is no GPU.
$(STAMP): pyproject.toml constraints.txt
	@test -n '$(PYTHON)' || { \
		echo 'Malgil needs Python 3.11 or newer, and none of these is: $(CANDIDATES).'; \
		echo 'Install one, or name it: make PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -c '$(FITS)' || { \
		echo 'Malgil needs Python 3.11 or newer; $(PYTHON) is not, or does not run.'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

constraints.txt:
	@echo 'constraints.txt is missing: it pins what is installed.'; exit 1
