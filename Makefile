# Every target does all of its set-up: a machine with Python and make is enough.
#   make demo    cluster the handwritten digits with every method, side by side
#   make test    the test suite        make test-slow   the tests that take minutes to hours
#   make test-anywhere    the suite as on other machines: precision, instructions, threads, order
#   make lint    ruff                  make bench       speed ratios, measured here
#   make docs    the documentation     make clean       remove what was built
# Variables: PYTHON (the interpreter that makes .venv), PIP_ARGS (more options for pip, such as
# the index of CPU-only torch wheels), PYTEST_ARGS, SPHINXOPTS.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PIP_ARGS ?=
PYTEST_ARGS ?= -n 2 --dist worksteal
SPHINXOPTS ?= -W --keep-going

# The torch version is written down once, in constraints.txt.
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
PIP := $(PY) -m pip install --disable-pip-version-check $(PIP_ARGS) -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help env demo test test-slow test-anywhere lint format bench docs clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

env: $(STAMP)

# torch comes first and alone, so that nothing else can choose its version. It brings setuptools,
# the build backend, and --no-build-isolation then needs no further download.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; choose one with make PYTHON=..." >&2; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==$(TORCH) setuptools
	$(PIP) --no-build-isolation -e '.[dev]'
	@touch $@

# Here and below waiting threads sleep rather than spin: much faster beside a busy process.
demo: env
	OMP_WAIT_POLICY=PASSIVE $(PY) -m sklearn_deepcluster.benchmarks.demo

# Each worker of xdist gets one thread; together they use the two cores.
test: env
	OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 $(PY) -m pytest $(PYTEST_ARGS)

test-slow: env
	$(PY) -m pytest -m slow

# Takes six times as long as the suite.
test-anywhere: env
	$(PY) -m tests.anywhere

lint: env
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: env
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: env
	$(PY) -m sklearn_deepcluster.benchmarks.speed

docs: env
	$(PY) -m sphinx $(SPHINXOPTS) -b html doc doc/_build/html
	@echo "The pages are in doc/_build/html/index.html"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .coverage .coverage.* htmlcov
	rm -rf doc/_build doc/auto_gallery doc/generated doc/sg_execution_times.rst
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
