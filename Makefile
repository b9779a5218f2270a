# Every target sets up .venv by itself; `make PYTHON=python3.12 test` chooses the interpreter it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Small arrays gain nothing from BLAS threads, and on a busy machine lose much by them.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo gallery test lint bench clean

demo: $(READY)
	$(BIN)/python examples/disc.py $(DISC_ARGS)
	$(BIN)/python examples/digits.py $(DIGITS_ARGS)

gallery: $(READY)
	for program in examples/*.py; do $(BIN)/python $$program || exit 1; done

test: $(READY)
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev,examples,scipy]"
	touch $@
