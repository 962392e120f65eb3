# Everything runs from .venv, which the first target that needs it makes: nothing on the machine is needed but
# Python >= 3.11, make, a C compiler and a package index. CI calls `make check` and `make test`, nothing else.

PYTHON ?= python3
T ?=
JOBS ?= $(if $(T),0,2)
BENCH ?=
GATE ?=
SEED ?=
UPGRADE ?=

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Kept bytecode: without it each process that a test or the gate starts compiles licd anew, a quarter of its start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup lock generate generate-check proto-image buf golden readme check format test gate nightly cover fuzz bench demo demo-replicas fleet clean
.DELETE_ON_ERROR:

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv from requirements.lock, by hash (every target does it when needed)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "licd needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Say which one: make PYTHON=python3.12 ..." % v[:2])'
	@echo "installing requirements.lock into .venv (a minute, the first time)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## Write requirements.lock anew from pyproject.toml (UPGRADE=--upgrade takes the newest)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(PIP) install uv
	@PATH="$(CURDIR)/$(BIN):$$PATH" .ci/lock $(UPGRADE)

generate: $(READY) ## Write licd/v1 from proto/
	@$(BIN)/python .ci/generate.py

generate-check: $(READY) ## Say whether licd/v1 is what proto/ makes
	@$(BIN)/python .ci/generate.py --check

buf: $(READY) ## Lint proto/ and compare it with the released image, proto/licd.binpb
	@$(BIN)/buf lint proto
	@$(BIN)/buf breaking proto --against proto/licd.binpb

proto-image: $(READY) ## Release the protocol: from here on `make buf` refuses what breaks it
	@$(BIN)/buf build proto --output proto/licd.binpb

golden: $(READY) ## Record new golden files (a recorded one that has changed is refused)
	@$(BIN)/python -m tests.architecture.golden

readme: $(READY) ## Write the commands' --help into README.md
	@$(BIN)/python -m tests.architecture.readme

check: $(READY) buf ## All that needs no running: lint, format, types, imports, protocol, architecture
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@out=$$($(BIN)/lint-imports --no-logo) && echo "$$out" | tail -n 1 || { echo "$$out"; exit 1; }
	@$(BIN)/python -m pytest --quiet -n 0 tests/architecture

format: $(READY) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format

test: $(READY) ## Run the tests; T="tests/core -k seat" runs some (JOBS=2 in parallel)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(T)

gate: $(READY) ## Fault tests on real processes (root, Linux); GATE="kill power" SEED=7 runs some rows again
	@$(BIN)/python -m tests.gate $(GATE) $(if $(SEED),--seed $(SEED))

nightly: $(READY) ## Patroni's failovers, 20 000 seeds of the simulation, 2 000 000 walks of core; SHARD=1/10 is the first tenth
	@.ci/nightly
	@$(BIN)/python -m tests.gate --nightly $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m simulator seeds --shard $(or $(SHARD),1/1) --number 20000 --processes 2
	@$(BIN)/python -m tests.core.walks --shard $(or $(SHARD),1/1) --number 2000000 --processes 2

cover: $(READY) ## Run the tests and show which lines and branches they leave out
	@$(BIN)/python -m coverage run -m pytest -n 0 $(T)
	@$(BIN)/python -m coverage report

fuzz: $(READY) ## Fuzz one target, T=seals, or T=all; SECONDS=60 SEED=1 (without T: list them)
	@$(BIN)/python -m tests.fuzz $(T) --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

bench: $(READY) ## Measure, into build/bench.json and build/cost.svg; BENCH=acquire measures one
	@.ci/peers
	@$(BIN)/python -m tests.bench $(BENCH)

demo: $(READY) ## Start licd and a fleet of simulated customers, and watch a suspension take effect
	@$(BIN)/python -m simulator demo

demo-replicas: $(READY) ## The same on PostgreSQL: a replica is added, one is killed, all are upgraded
	@$(BIN)/python -m tests.postgres $(BIN)/python -m simulator run replicas

fleet: $(READY) ## 2 000, then 10 000 systems against a daemon, half an hour, into build/fleet.json
	@mkdir -p build
	@$(BIN)/python -m simulator run scenarios/fleet-10k.toml --json build/fleet.json

clean: ## Remove all that make and the tools made, .venv too
	@rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find licd simulator tests .ci -name __pycache__ -type d -prune -exec rm -rf {} +
