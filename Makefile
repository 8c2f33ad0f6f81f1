# The commands of the course; `make` alone lists them.

# What runs the set-up, which looks for another Python where this one does not fit.
PYTHON ?= python3
# For example LAB_FLAGS=--no-browser, TEST_FLAGS="-k packaging".
LAB_FLAGS ?=
TEST_FLAGS ?=
LOCK_FLAGS ?=
# Test processes side by side.
JOBS ?= 2
# What ruff reads; notebooks have their own settings, in notebooks/ruff.toml.
LINTED = mlms_helpers tests scripts benchmarks tools data/generate settings notebooks
GENERATE_PYTHON ?= .venv-generate/bin/python
# Where `make data` keeps what is finished; the same command goes on from there.
RUN ?= runs/$(NAME)

# A reader's own PYTHONPATH (modules on a cluster, say) would hide the locked packages.
unexport PYTHONPATH
unexport PYTHONHOME
# For terminals and consoles of the lab; kernels read settings/etc/ipython.
export KERAS_BACKEND ?= jax

SHELL = /bin/sh
BIN = .venv/bin
START = $(wildcard notebooks/00-start-here.ipynb)
ROOT_USER = $(filter 0,$(shell id -u))

# The generators: what takes --out and makes a dataset; the others in that folder help them or check.
GENERATORS = $(filter-out convergence_% chgnet_columns,$(patsubst data/generate/%.py,%,$(shell grep -l -- '"--out"' data/generate/*.py)))

.PHONY: help lab test lint format setup lock data bench clean

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*##/  make \1 -/p' Makefile

lab: setup  ## open the course in JupyterLab; installs it into .venv first, where needed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m jupyterlab $(START) $(if $(ROOT_USER),--allow-root) $(LAB_FLAGS)

# One pytest for all; a notebook or a module stays in one process (loadscope), cell by cell.  In the order of collection
# the browser tests, whose modules take longest, come first, and no process waits for them at the end.  BLAS gets one
# thread each: with two, those of the processes wait for each other, which costs a third of a notebook's time.
test: lint  ## run every test: lint, unit, property-based, notebooks, browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests $(wildcard notebooks) --nbval --nbval-current-env --nbval-cell-timeout=900 \
	    --nbval-sanitize-with tests/nbval-sanitize.cfg -n $(JOBS) --dist loadscope --no-loadscope-reorder \
	    $(TEST_FLAGS)

lint: setup  ## read all code with ruff, without running it
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)

format: setup  ## let ruff lay out all code, and mend what it can
	$(BIN)/ruff check --fix $(LINTED)
	$(BIN)/ruff format $(LINTED)

setup:  ## install only: .venv with all that the course and its tests need
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null || { \
	    echo "mlms: $(PYTHON) is missing or too old: install Python 3.11 (Debian, Ubuntu: sudo apt install python3 python3-venv)" \
	    "and run the command again, or give PYTHON=/path/to/python3.11." >&2; exit 1; }
	@$(PYTHON) scripts/setup_env.py

lock:  ## bring requirements.lock up to date with pyproject.toml (needs uv); LOCK_FLAGS=--upgrade for newer versions
	@command -v uv >/dev/null || { echo "mlms: make lock needs uv: python3 -m pip install uv" >&2; exit 1; }
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --extra test --group build $(LOCK_FLAGS) pyproject.toml --output-file requirements.lock >/dev/null

data:  ## compute a dataset anew, then bring data/NAME up to date: make data NAME=octet ARGS="--workers 2"
	@test -n "$(filter $(NAME),$(GENERATORS))" || { echo "mlms: give NAME=, one of: $(GENERATORS)." >&2; exit 1; }
	@command -v $(GENERATE_PYTHON) >/dev/null || { echo "mlms: the generators need their own environment:" \
	    "python3 -m venv .venv-generate && .venv-generate/bin/pip install -e '.[generate]'." >&2; exit 1; }
	@mkdir -p $(RUN) data/$(NAME)
	$(GENERATE_PYTHON) data/generate/$(NAME).py --out $(RUN) $(ARGS)
	$(GENERATE_PYTHON) data/generate/gather.py $(RUN) $(dir $(wildcard data/$(NAME)/configurations.extxyz)) --into data/$(NAME)

bench: setup  ## measure speed and models anew, into docs/: make bench, or make bench NAME="training slider"
	$(BIN)/python -m benchmarks $(NAME)

clean:  ## remove what tests and builds left; .venv stays
	rm -rf .pytest_cache .hypothesis build *.egg-info setup.log
	find mlms_helpers tests tools notebooks data scripts benchmarks -name __pycache__ -o -name .ipynb_checkpoints 2>/dev/null | xargs rm -rf
