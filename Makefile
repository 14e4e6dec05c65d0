# The two commands are `make run` and `make test`. Both need Python 3.11 or newer and make, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps
PACKAGES := config idgen openplatform payments sandbox
TEMPLATES := config payments openplatform sandbox
# Two processes for each core, for many tests wait; the tests of one file stay together, for they share a sandbox or a
# whole `make run`.
PYTEST_ARGS ?= --numprocesses $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN)))) --dist loadfile
# What `check --deploy` looks at: a deployment as docs/deploy.md describes it, with secrets that are none.
DEPLOYMENT := SECRET_KEY=0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \
	MASTER_KEY=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
	PUBLIC_BASE_URL=https://pay.example.com ALLOWED_HOSTS=pay.example.com ALARM_WEBHOOK_URL=https://alarms.example.com/hook

# Where it is set, each of the many processes that a run starts would compile all of our modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test lint lock bench soak clean

help:
	@echo "make run    everything on this machine: database, broker, sandbox, workers, web"
	@echo "make test   all tests, on servers of their own"
	@echo "make lint   format, lint, types, import contracts, deployment checks, migrations, templates, vectors"
	@echo "make lock   requirements*.lock again, from pyproject.toml (needs uv)"
	@echo "make bench  the benchmarks"
	@echo "make soak   the long runs"
	@echo "make clean  remove what was made here: the environment, caches, and the data of make run"

# `exec`: Ctrl-C and signals reach the supervisor itself, and its exit status is ours.
run: $(VENV)/run.stamp
	@exec $(BIN)/python manage.py up

test: $(VENV)/dev.stamp
	@exec $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports --no-cache
	$(DEPLOYMENT) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(DEPLOYMENT) $(BIN)/python -W ignore manage.py makemigrations --check --dry-run
	$(BIN)/djlint --lint --quiet $(TEMPLATES)
	$(BIN)/python manage.py signature_vectors --check

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--quiet pyproject.toml --output-file requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--quiet pyproject.toml --extra dev --output-file requirements-dev.lock

bench: $(VENV)/dev.stamp
	@$(BIN)/python tests/benchmarks/idgen/gate.py
	@$(BIN)/python tests/benchmarks/idgen/bench.py
	@$(BIN)/python tests/benchmarks/limits/bench.py
	@$(BIN)/python tests/benchmarks/gate/bench.py
	@$(BIN)/python tests/benchmarks/peers/bench.py
	@$(BIN)/python tests/benchmarks/bulkhead/bench.py

soak: $(VENV)/dev.stamp
	@exec $(BIN)/python -m pytest -m soak -s

clean:
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("fenpay needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=/path/to/a/newer/python3 $(MAKECMDGOALS)")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }

$(VENV)/run.stamp: requirements.lock | $(VENV)/bin/python
	@echo "Installing requirements.lock into $(VENV)"
	@$(PIP) -r requirements.lock
	@touch $@

# The tools stand on top of the same pins, so whoever has them can run as well.
$(VENV)/dev.stamp: requirements-dev.lock | $(VENV)/bin/python
	@echo "Installing requirements-dev.lock into $(VENV)"
	@$(PIP) -r requirements-dev.lock
	@touch $@ $(VENV)/run.stamp
