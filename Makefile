# make train: install, get the data, train the default recipe, say where the report is.
# make test:  install and run the tests; those that need a tool this machine lacks are skipped.
# make check: all tests, slow ones included, and the linters, types, wheel, notebook and this site.
# make site:   the documentation as a site, in build/site/index.html.
# make bench: time training against the peers; BENCH="--quick" shows in minutes that it works.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

# mkdocs-material announces its successor at every build; strict builds would take it for a warning.
export NO_MKDOCS_2_WARNING := 1

.PHONY: train test check lint install install-dev docs site bench clean

train: install
	$(BIN)/kilonet train

test: install-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not check"

check: install-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: install-dev
	$(BIN)/ruff check src tests experiments benchmarks
	$(BIN)/ruff format --check src tests experiments benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install $(VENV)/peers/.installed
	$(BIN)/python -m benchmarks --peers $(VENV)/peers/bin/python $(BENCH)

docs: install-dev
	$(BIN)/python experiments/render_docs.py

site: install-dev
	$(BIN)/mkdocs build --strict

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train]"
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train,serve,study,tensorboard,ray,docs,dev]"
	touch $@

$(VENV)/peers/.installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/pip install --quiet --requirement benchmarks/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
