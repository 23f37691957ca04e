# `make demo` and `make test` do everything: what they need is installed into a virtual environment of its own.

VENV ?= .venv
# The first of these that is a Python 3.11 or newer.
PYTHON ?= $(firstword $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python; done))
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable

.PHONY: demo test lint docs bench simulate torture

# A run of the example with a simulated crowd, and the proof that it was legal.
demo: $(VENV)/installed
	$(VENV)/bin/mephisto-es demo

# Tests that need a browser or npm are skipped where there is none; with CI=true they fail instead.
test: $(VENV)/installed-for-tests
	$(VENV)/bin/python -m pytest --numprocesses auto --dist worksteal

# The whole operator with faults, from N fresh seeds; a seed that shows a violation is printed.
N ?= 100
simulate: $(VENV)/installed-for-tests
	$(VENV)/bin/python -m tests.simulation $(N)

# An operator that is killed again and again while twenty people work: nothing may be lost. Some ten minutes.
torture: $(VENV)/installed
	$(VENV)/bin/mephisto-es torture --kills 10 --passes 3
	$(VENV)/bin/mephisto-es torture --kills 10 --passes 3 --router --seed 1
	$(VENV)/bin/mephisto-es torture --every 100 --seed 2

lint: $(VENV)/installed-for-tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict

# The documentation as a site, in site/; a link or a reference that leads nowhere fails.
docs: $(VENV)/installed-for-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

# Every figure that has a bar: the log, an operator, whole visits through a router, quiet sockets, what verbs
# take to answer. Some fifteen minutes.
bench: $(VENV)/installed-for-tests
	$(VENV)/bin/python tests/benchmarks/everything.py

$(VENV)/installed-for-tests: $(VENV)/installed
	$(PIP_INSTALL) '.[test,bench]'
	@touch $@

$(VENV)/installed-for-docs: $(VENV)/installed
	$(PIP_INSTALL) '.[docs]'
	@touch $@

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (on Debian: apt-get install python3)." >&2; exit 1; }
# Debian keeps a part of Python that virtual environments need in a package of its own.
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; } \
		|| { echo "$(PYTHON) cannot make virtual environments (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) .
	@touch $@
