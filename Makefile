# Everything happens in ./.venv, made with the first Python >= 3.11 found (or: make PYTHON=... demo).
# Nothing needs make beyond POSIX tools, a network beyond pip's, or a path without spaces.

.DEFAULT_GOAL := help
.NOTPARALLEL: # two pips in one environment would collide
.PHONY: help venv demo test test-slow test-low lint format notebooks docs release bench bench-gpu clean

BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME # else other environments leak into ours

# One process per core: compiling with XLA is what takes the time. loadfile keeps the tests of a
# file, which share compiled functions, in one process. Not more than 8: each holds its own JAX.
PYTEST := -m pytest -n logical --maxprocesses 8 --dist loadfile -rs

# Tests keep what XLA compiled beside the environment. The next run then takes a sixth of the
# processor time (tests/test_derivatives.py: 122 s without, 121 s filling it, 20 s filled).
test test-slow test-low: export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.venv/jax-cache
test test-slow test-low: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: .venv/base.stamp ## run the main job on real digits into runs/demo
	@$(BIN)/xbar demo --out runs/demo

test: .venv/test.stamp ## run the test suite, without the slow tests
	@$(BIN)/python $(PYTEST)

test-slow: .venv/test.stamp ## run the slow tests alone
	@$(BIN)/python $(PYTEST) -m "slow and not optimized" || test $$? -eq 5 # 5: there are none
	@$(BIN)/python $(PYTEST) -m "slow and optimized" || test $$? -eq 5

# Slow tests run as users run, without the checks of shapes.
test-slow: export JAXTYPING_DISABLE := 1

lint: .venv/lint.stamp ## ruff (rules and format) and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python

format: .venv/lint.stamp ## let ruff fix and format what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

notebooks: .venv/notebooks.stamp ## run every notebook, leaving the files as they are
	@set -- notebooks/*.ipynb; \
	if [ -e "$$1" ]; then PATH="$$PWD/$(BIN):$$PATH" $(BIN)/jupyter-execute "$$@"; \
	else echo "notebooks/ has no notebook yet"; fi

docs: .venv/docs.stamp ## build the documentation site into site/, strictly
	@NO_MKDOCS_2_WARNING=1 PATH="$$PWD/$(BIN):$$PATH" $(BIN)/mkdocs build --quiet
	@echo "site/index.html"

# The wheel goes into an environment of its own, outside of the checkout, and answers there: with the
# oldest Python that xbar takes (.venv's where there is none) and with the newest that is here and
# that JAX has wheels for.
release: .venv/release.stamp ## build wheel and sdist into dist/, check and install them afresh
	@rm -rf dist
	@$(BIN)/python -m build --quiet
	@$(BIN)/twine check --strict dist/*
	@works() { "$$1" -c 'import ensurepip' 2>/dev/null; }; \
	afresh() { rm -rf .venv/fresh && "$$1" -m venv .venv/fresh && \
	  .venv/fresh/bin/python -m pip install --quiet dist/*.whl; }; \
	answers() { (cd .venv/fresh && bin/python --version && bin/xbar --version && \
	  bin/python "$(CURDIR)/tests/data/client.py"); }; \
	oldest=$(BIN)/python; if works python3.11; then oldest=python3.11; fi; \
	afresh $$oldest && answers || exit 1; \
	for p in python3.14 python3.13 python3.12; do \
	  if works $$p; then \
	    if afresh $$p; then answers || exit 1; break; \
	    else echo "release: nothing to install for $$p here; not tried"; fi; \
	  fi; \
	done

test-low: .venv/low.stamp ## run the test suite against the lower bounds of pyproject.toml
	@.venv/low/bin/python $(PYTEST)

# BENCH: which questions, and --quick (make bench BENCH="a b --quick"); see benchmarks/README.md
bench: .venv/base.stamp ## measure speed beside the other tools, which it installs (hours)
	@$(BIN)/python benchmarks/peers/install.py
	@.venv/bench/bin/python -m benchmarks.speed $(BENCH)

bench-gpu: .venv/gpu.stamp ## measure speed on one NVIDIA GPU, xbar alone
	@$(BIN)/python -m benchmarks.speed --gpu $(BENCH)

venv: .venv/base.stamp ## make .venv with xbar in it

clean: ## remove the environment, caches and build products (not runs/)
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build dist site

# A stamp is touched after its install has ended, so that an interrupted one is done again.
.venv/made.stamp:
	@for p in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
	  if "$$p" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    "$$p" -m venv .venv && touch $@; exit; \
	  fi; \
	done; \
	echo "xbar needs Python 3.11 or newer with its venv module: install it (Debian, Ubuntu:" \
	  "apt install python3 python3-venv) or name it with 'make PYTHON=/path/to/python'." >&2; \
	exit 1

.venv/base.stamp: .venv/made.stamp pyproject.toml
	@echo "Installing xbar and what it needs into .venv (a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/low.stamp: .venv/base.stamp
	@echo "Installing the oldest releases that pyproject.toml allows into .venv/low ..."
	@$(BIN)/python -m pip install --quiet uv
	@rm -rf .venv/low && $(BIN)/python -m venv --without-pip .venv/low
	@$(BIN)/uv pip install --quiet --python .venv/low/bin/python --resolution lowest-direct --editable '.[test]'
	@touch $@

# test, lint, notebooks, docs, release, gpu: the extra of that name on top
.venv/%.stamp: .venv/base.stamp
	@echo "Installing what '$*' needs into .venv ..."
	@$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@
