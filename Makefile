# The two commands a newcomer needs are `make demo` and `make test`; both set everything up in .venv first.
#
#   make setup      the environment alone            make lint      ruff, mypy --strict, the floors
#   make demo       the main job, end to end         make test      the tests, without the slow ones
#   make clean      remove what make made            make test-all  the slow ones too
#
#   PYTHON=python3.12   another interpreter          JOBS=4         test processes (default: the cores, at most 8)
#   DEMO_OUT=DIR        where the demo writes        TESTS=tests/nn the tests to run (default: all)

PYTHON ?= python3
VENV ?= .venv
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 8 ] && echo 8 || echo $$n)
DEMO_OUT ?= runs/demo
TESTS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
# One thread a process: the test processes share the cores, and sums do not depend on how many there are.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS) --dist worksteal

.PHONY: setup demo test test-all lint clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): pyproject.toml .ci/make-venv
	.ci/make-venv $(VENV) $(PYTHON)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --retries 10 --timeout 60 --editable '.[test]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/hwnas demo --out $(DEMO_OUT)

test: $(STAMP)
	$(PYTEST) -m 'not slow' $(TESTS)

test-all: $(STAMP)
	HWNAS_TEST_ALL=1 $(PYTEST) $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
