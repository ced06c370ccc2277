# Everything that a person or CI does with this checkout. `make` alone explains it.
# A recipe that runs a program `exec`s it, so that a signal to make reaches the program itself.

PYTHON ?= python3
BIN := .venv/bin
CHAOS_SECONDS ?= 180
CHAOS_SEED ?=
CHAOS ?=
ATTACK ?=
BENCH ?=
COMPILE = .local/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: \
	--generate-hashes --no-header --no-annotate --upgrade

.DEFAULT_GOAL := help
.PHONY: help setup run stack unit check test chaos attack bench boards kubernetes versions release format lock clean

help:  ## this list
	@awk -F ':.*## *' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed  ## create .venv with everything (the other targets do it where it is missing)
	@:

run: setup  ## the whole thing on this machine with demo traffic and live totals; Ctrl-C stops it
	@exec $(BIN)/python -m deploy.run

stack: setup  ## the same without demo traffic; addresses in .local/stack.json
	@exec $(BIN)/python -m deploy.stack

unit: setup  ## the tests that need this process alone, no server and no browser (two to four minutes)
	@exec $(BIN)/python -m pytest -m unit --hypothesis-profile unit -n $(shell nproc)

check: setup  ## lint, format, types, import contracts (seconds)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## everything that CI runs: the checks and all tests, with what each part took
	@exec $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

chaos: setup  ## break things for CHAOS_SECONDS (180), prove every number (long: 1800, CHAOS_SEED=21,22 CHAOS=--cases)
	@exec $(BIN)/python -m tests.chaos --seconds $(CHAOS_SECONDS) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED)) $(CHAOS)

attack: setup  ## attack a stack of its own with hostile records, HTTP and commands (ATTACK="--only NAME" for a part)
	@exec $(BIN)/python -m tests.attack $(ATTACK)

bench: setup  ## measure speed, memory and latency against the goals (BENCH="--quick --only NAME" for a part)
	@exec $(BIN)/python -m tests.benchmarks $(BENCH)

boards: setup  ## write the boards for Grafana (deploy/grafana/*.json) anew from their tables
	@exec $(BIN)/python -m deploy.grafana

versions: setup  ## carry the version of pyproject.toml to all other places
	@exec $(BIN)/python -m deploy.release.versions

release: setup  ## build what is handed out, of the last commit, into dist/: packages, chart, image, SBOM, checksums
	@exec $(BIN)/python -m deploy.release

kubernetes: setup  ## install the Helm chart on a real kube-apiserver (built the first time, from Go modules: ten minutes)
	@exec $(BIN)/python -m tests.kubernetes

format: setup  ## rewrite the code in the project's format, with the safe lint fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: .local/uv/bin/uv  ## pin the newest versions that pyproject.toml allows, with their hashes
	$(COMPILE) pyproject.toml --group stack --group test --group bench --group build --output-file deploy/requirements.txt
	$(COMPILE) pyproject.toml --constraint deploy/requirements.txt --output-file deploy/requirements-runtime.txt
	$(COMPILE) --group lock --output-file deploy/requirements-uv.txt

clean:  ## remove .venv and the caches; keeps .local, where the stack's data is
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.local/uv/bin/uv: deploy/requirements-uv.txt
	$(PYTHON) -m venv --clear .local/uv
	.local/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

.venv/.installed: pyproject.toml deploy/requirements.txt
	@$(PYTHON) deploy/install.py
	@touch $@
