PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--no-annotate --python-version 3.11
PYTEST := $(BIN)/pytest -n 4 --dist worksteal --durations=40
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: install run test coverage check bench chaos format lock clean messages screenshots embed-release reference
.DEFAULT_GOAL := install

# --- environments: made when missing, made again when a lock file changes ---------------------------

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Leadgate needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# A lock file is complete: without --no-deps, pip asks the registry for newer versions of extras and then refuses them.
$(VENV)/.run: requirements/run.lock requirements/build.lock pyproject.toml | $(BIN)/python
	$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/run.lock -r requirements/build.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/dev.lock
	@touch $@

$(VENV)/.bench: requirements/bench.lock $(VENV)/.dev
	$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/bench.lock
	@touch $@

install: $(VENV)/.run

# --- what people run --------------------------------------------------------------------------------

run: $(VENV)/.run
	@$(BIN)/leadgate demo

test: $(VENV)/.dev
	$(PYTEST)

# Apart from the tests, which it makes half as long again.
coverage: $(VENV)/.dev
	$(PYTEST) --cov --cov-report=term --cov-fail-under=95

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

# The long proof of docs/reliability.md; about an hour. A short form of it is in `make test`.
chaos: $(VENV)/.dev
	$(BIN)/python -m proof --write

# With every release: pages that name the embed script by its content go on finding it.
embed-release: $(VENV)/.run
	$(BIN)/python -c 'from app.web.embed import keep_release; keep_release()'

# The pictures of README and docs, taken of a running demo.
screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.screenshots

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Brings the Swedish catalog up to date with the code and templates; new texts are then written in it by hand.
messages: $(VENV)/.dev
	$(BIN)/pybabel -q extract -F babel.cfg --no-location --sort-output --project Leadgate -o .messages.pot .
	$(BIN)/pybabel -q update -l sv -i .messages.pot -o app/locale/sv/LC_MESSAGES/leadgate.po --no-fuzzy-matching --ignore-obsolete -w 110
	rm .messages.pot

# What the code can tell of itself; a test says when it is out of date.
reference: $(VENV)/.dev
	$(BIN)/python -m tools.reference

# Versions and hashes only; no registry's address belongs in a lock file.
lock: $(VENV)/.dev
	$(COMPILE) pyproject.toml -o requirements/run.lock
	$(COMPILE) -c requirements/run.lock --group build -o requirements/build.lock
	$(COMPILE) -c requirements/run.lock pyproject.toml --group dev -o requirements/dev.lock
	$(COMPILE) -c requirements/run.lock --group bench -o requirements/bench.lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .coverage* htmlcov dist
