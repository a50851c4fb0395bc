# make help lists the targets.
PYTHON ?= python3
BIN = .venv/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: run
run: .venv/run-installed ## Serve the demo at http://localhost:5000 (PORT=5001 changes the port)
	@exec $(BIN)/gunicorn

.PHONY: test
test: .venv/test-installed ## Install a browser where possible, then run every test
	@sh tests/browser/install.sh
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: faults
faults: .venv/test-installed ## Lose answers, kill workers and fail over in rounds, and print what it cost
	@$(BIN)/python -m pytest -q -s -p no:cacheprovider tests/faults

.PHONY: check
check: .venv/test-installed ## Lint, format check and strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: bench
bench: .venv/run-installed ## Compare the cost of a request with Flask-Session and others, and hold it to targets
	@$(BIN)/python -m benchmarks.request

.PHONY: memory
memory: .venv/run-installed ## Print what 100,000 accounts cost in Redis, by kind of key
	@$(BIN)/python -m benchmarks.memory

.PHONY: scale
scale: .venv/run-installed ## Fill Redis and measure how times grow (SIZES="1000 100000 1000000" adds a million sessions)
	@$(BIN)/python -m benchmarks.scale $(SIZES)

.PHONY: live
live: .venv/run-installed ## Measure 1,000 open connections of live updates: pages, revocations, memory (SIZES="100 1000")
	@$(BIN)/python -m benchmarks.live $(SIZES)

.PHONY: screenshots
screenshots: .venv/test-installed ## Make the pictures of README, and all others in build/screenshots
	@sh tests/browser/install.sh
	@$(BIN)/python -m pytest -q tests/browser/screenshots.py

.PHONY: lock
lock: ## Pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --upgrade --extra run pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --upgrade --extra run --extra test pyproject.toml -o requirements/test.txt
	@$(MAKE) wheels

.PHONY: wheels
wheels: ## Check that the locks install without a compiler everywhere we say (needs uv and the network)
	@for python in 3.11 3.12 3.13 3.14; do \
	for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin; do \
	for lock in requirements/run.txt requirements/test.txt; do \
	uv pip compile -q --no-deps --only-binary :all: --python-version $$python --python-platform $$platform $$lock >/dev/null \
	|| { echo "$$lock does not install on Python $$python, $$platform" >&2; exit 1; }; \
	done; done; done

.PHONY: clean
clean: ## Remove what the other targets made, development sessions included
	rm -rf .venv instance build dist tests/browser/node_modules tests/signers/node_modules tests/evm/node_modules

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv .venv

.venv/run-installed: requirements/run.txt | .venv/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

.venv/test-installed: requirements/test.txt | .venv/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@
