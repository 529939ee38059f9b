# Every target sets up what it needs: a virtual environment, the pinned dependencies, the compiled kernels.
# Stamp files in $(VENV) make the second call quick; a change of the build files or of csrc/ rebuilds.
#
#   VENV=path      the virtual environment (default .venv)
#   PYTHON=python  the interpreter it is made from (default: the first of python3, python3.13, 3.12, 3.11 that fits)
#   ARGS="..."     further arguments of the program behind demo, test and bench

VENV ?= .venv
PYTHON ?=
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# setuptools: num2words, which a test is compared with, needs docopt, which is published as source only.
BUILD_REQUIREMENTS := scikit-build-core nanobind cmake ninja setuptools
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
HAS_HEADERS := import os, sys, sysconfig; \
	sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint style types imports format test-exhaustive install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## train a network on handwritten digits with and without multiplications
	$(BIN)/mulfree train digits $(ARGS)

test: install ## run the quick tests, on up to four processes (ARGS="-n 0": in one)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

test-exhaustive: test ## run every test, those over all bit patterns included (minutes)
	$(BIN)/python -m pytest -m slow $(ARGS)

bench: install ## verify and time the kernels beside torch and NumPy; see docs/benchmarks.md
	$(BIN)/python -m benchmarks.run $(ARGS)

lint: style types imports ## check style, types and the floors of the house

style: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

format: install ## apply the formatter and the safe corrections of the linter
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.stamp-install ## make the virtual environment, build and install

$(VENV)/.stamp-venv:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  for candidate in python3 python3.13 python3.12 python3.11; do \
	    if $$candidate -c '$(FITS)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	  done; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "error: Python 3.11, 3.12 or 3.13 is needed and none was found; name one: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	if ! "$$python" -c '$(FITS)'; then \
	  echo "error: PYTHON must be Python 3.11, 3.12 or 3.13, got $$python: $$("$$python" --version 2>&1)" >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) from $$("$$python" --version)"; \
	"$$python" -m venv "$(VENV)"
	$(PIP) install --quiet --upgrade -c constraints.txt pip
	@touch $@

# Where a compiler and Python's headers exist, a failing build is an error; elsewhere the package is installed
# without its kernels. The build folder lies in the environment, since it remembers the environment's paths.
$(VENV)/.stamp-install: $(VENV)/.stamp-venv pyproject.toml constraints.txt CMakeLists.txt $(shell find csrc -type f)
	$(PIP) install --quiet -c constraints.txt $(BUILD_REQUIREMENTS)
	@if command -v "$${CXX:-c++}" >/dev/null && $(BIN)/python -c '$(HAS_HEADERS)'; then \
	  export MULFREE_REQUIRE_NATIVE=1; \
	else \
	  echo "No C++ compiler or no Python headers: installing without the native kernels (much slower)."; \
	  echo "Install them (Debian: g++ and python3-dev) and run 'make -B install' to get the kernels."; \
	fi; \
	PATH="$(abspath $(BIN)):$$PATH" $(PIP) install -c constraints.txt --no-build-isolation \
	  --config-settings=build-dir="$(abspath $(VENV))/build" \
	  --config-settings=cmake.define.MULFREE_WIDE_TARGET=ON --editable '.[dev]'
	@touch $@

clean: ## remove the virtual environment, the build folder and the tools' caches
	@if [ -e "$(VENV)/.stamp-venv" ]; then rm -rf "$(VENV)"; fi
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
