.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
STAMP := .venv/.installed
# Most tests wait for real processes more than they compute.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

$(STAMP): requirements-dev.txt pyproject.toml
	@python3 -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	python3 -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

run: $(STAMP) ## start everything on this machine: Redis, demo models, Envoy, the sidecar
	@exec .venv/bin/pointsman up

test: $(STAMP) ## the whole test suite, real Envoy and real Redis included
	$(PY) -m pytest -m "not slow" $(SIDE_BY_SIDE)

test-slow: $(STAMP) ## the tests that take minutes
	$(PY) -m pytest -m slow

check: $(STAMP) ## format, lint, types, import contracts, generated code up to date
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	@tmp=$$(mktemp -d) && PYTHON=$(CURDIR)/$(PY) proto/generate.sh $$tmp && \
	  { diff -r -x __pycache__ sidecar/pb $$tmp || { echo "sidecar/pb is stale: run 'make proto'"; rm -r $$tmp; exit 1; }; } && rm -r $$tmp

format: $(STAMP) ## rewrite the code in the house's format
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

proto: $(STAMP) ## compile proto/ into sidecar/pb
	PYTHON=$(CURDIR)/$(PY) proto/generate.sh

bench: $(STAMP) ## benchmarks: prints a table and writes it to bench/
	$(PY) -m bench

lock: ## choose versions anew and pin them with their hashes (needs uv)
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra traces pyproject.toml -o requirements-sidecar.txt
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra local --extra reports --extra traces --group dev pyproject.toml -o requirements-dev.txt

clean: ## remove what the other targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.PHONY: help run test test-slow check format proto bench lock clean
