# Every target installs what it needs into a virtual environment of its own first.

VENV ?= .venv
# The first of these that is Python 3.11 or newer.
PYTHON ?= $(firstword $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python; done))
# What checks the JavaScript; needs node and npm (on Debian: apt-get install npm).
JAVASCRIPT_TOOLS = tools/javascript
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable
PYTEST = $(VENV)/bin/python -m pytest --numprocesses auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo demo-prolific demo-connect demo-sona demo-postgres test lint coverage matrix docs bench bench-peers desk labels simulate routers uploads pauses notices stale failover torture-postgres order block-races load torture sites datasets hostile powercut mutants simulated-mutants mutation-score proofs damage constraints sbom

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## Run the example with a simulated crowd and prove that the run was legal.
	$(VENV)/bin/mephisto-es demo

UNITS ?= 50
demo-prolific: $(VENV)/installed ## Run the example on a simulated Prolific, pay everybody, and compare both books to the cent.
	$(VENV)/bin/mephisto-es demo --site prolific --units $(UNITS)

demo-connect: $(VENV)/installed ## Run the example on a simulated Connect, pay everybody, and compare both books to the cent.
	$(VENV)/bin/mephisto-es demo --site connect --units $(UNITS)

demo-sona: $(VENV)/installed ## Run the example on a simulated SONA, grant everybody credit, and compare both sides.
	$(VENV)/bin/mephisto-es demo --site sona --units $(UNITS)

demo-postgres: $(VENV)/installed-for-tests ## Two operators on one PostgreSQL server, which is started for it; one dies, and a standby takes over.
	$(VENV)/bin/python -m tests.machines.demo

test: $(VENV)/installed-for-tests ## Run the tests. Without a browser or npm, theirs are skipped; with CI=true they fail.
	$(PYTEST)

lint: $(VENV)/installed-for-tests $(JAVASCRIPT_TOOLS)/node_modules/installed ## Check style and types.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict
	$(VENV)/bin/hadolint Dockerfile
	$(JAVASCRIPT_TOOLS)/node_modules/.bin/prettier --check --log-level warn --config $(JAVASCRIPT_TOOLS)/prettier.json \
		'{adapters,docs,examples,tests,tools}/**/*.{js,jsx,mjs}'
	$(JAVASCRIPT_TOOLS)/node_modules/.bin/eslint --config $(JAVASCRIPT_TOOLS)/eslint.config.js .
	$(JAVASCRIPT_TOOLS)/node_modules/.bin/tsc --project $(JAVASCRIPT_TOOLS)/tsconfig.json
	$(JAVASCRIPT_TOOLS)/node_modules/.bin/tsc --project $(JAVASCRIPT_TOOLS)/tsconfig.pages.json

# Only what runs in the processes of the tests is measured, not the operators and commands that they start.
coverage: $(VENV)/installed-for-tests ## Run the tests, print the coverage by folder, and hold it to its floors.
	$(PYTEST) --cov --cov-report=
	$(VENV)/bin/python .ci/coverage_floors.py

matrix: ## Run the tests on every Python >= 3.11 that this machine has.
	@./.ci/pythons | while read -r version python; do \
		echo "== Python $$version, $$python"; \
		$(MAKE) --no-print-directory test PYTHON="$$python" VENV="$(VENV)-$$version" </dev/null || exit 1; \
	done

docs: $(VENV)/installed-for-docs ## Build the documentation in site/; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

bench: $(VENV)/installed-for-tests ## Measure every figure that has a bar, for about fifteen minutes.
	$(VENV)/bin/python tests/benchmarks/everything.py

bench-peers: $(VENV)/installed-for-tests $(VENV)-mephisto/installed ## Measure visits through Mephisto 1.1.1 and through both routers in turns, for half an hour; needs npm.
	MEPHISTO_PYTHON=$(VENV)-mephisto/bin/python $(VENV)/bin/python tests/benchmarks/mephisto_visits.py

desk: $(VENV)/installed-for-tests ## Review 200 pictures in Chromium, by keyboard alone.
	REVIEWED_PICTURES=100 $(VENV)/bin/python -m pytest tests/browser/test_web_view.py -k by_keyboard_alone

labels: $(VENV)/installed-for-tests ## Simulate 500 studies whose items get answers until their labels are sure: intervals and savings.
	$(VENV)/bin/python -m tests.adapters.quality.label_simulation 500

N ?= 100
simulate: $(VENV)/installed-for-tests ## Run the operator with faults from N=100 fresh seeds; a seed that fails is printed.
	$(VENV)/bin/python -m tests.simulation $(N)

routers: $(VENV)/installed-for-tests ## Kill one of two routers twenty times while 200 people work, and cut the network to the operator.
	$(VENV)/bin/python -m tests.routers
	$(VENV)/bin/python -m tests.routers --node --seed 1

uploads: $(VENV)/installed-for-tests ## Upload 200 MB to every kind of server, also while its operator is away.
	UPLOAD_MEGABYTES=200 $(PYTEST) tests/adapters/architects/test_uploaded_files.py

pauses: $(VENV)/installed-for-tests ## Stop an operator in every way and every scene, and resume it, for about fifteen minutes.
	$(VENV)/bin/python -m tests.pauses

notices: $(VENV)/installed-for-tests ## Kill twenty operators that send notices: each notice arrives, for a minute.
	$(VENV)/bin/python -m tests.notices

stale: $(VENV)/installed-for-tests ## Stop operators on PostgreSQL for longer than their lease: they write nothing more, for five minutes.
	$(VENV)/bin/python -m tests.machines.stale

failover: $(VENV)/installed-for-tests ## Kill the primary of three PostgreSQL servers twenty times under two operators with crowds: nothing is lost.
	$(VENV)/bin/python -m tests.machines.failover

torture-postgres: $(VENV)/installed-for-tests ## Kill an operator on PostgreSQL twenty times: copies of its log end alike, and show what a file shows.
	$(VENV)/bin/python -m tests.machines.torture

order: $(VENV)/installed-for-tests ## Record 10,000 events on four machines whose clocks differ: none stands before its cause, for a minute.
	$(VENV)/bin/python -m tests.machines.order

block-races: $(VENV)/installed-for-tests ## Block 1,000 workers at one operator while they ask another one for work, for a few minutes.
	$(VENV)/bin/python -m tests.machines.races

load: $(VENV)/installed-for-tests ## Four operators with 100 workers each on PostgreSQL with a standby: check the log and print ratios.
	$(VENV)/bin/python -m tests.machines.load

torture: $(VENV)/installed ## Kill the operator again and again while a crowd works, for about ten minutes.
	$(VENV)/bin/mephisto-es torture --kills 10 --passes 3
	$(VENV)/bin/mephisto-es torture --kills 10 --passes 3 --router --seed 1
	$(VENV)/bin/mephisto-es torture --every 100 --seed 2
	$(VENV)/bin/mephisto-es torture --stop term --kills 20 --seed 3
	$(VENV)/bin/mephisto-es torture --stop router --kills 10 --seed 4
	$(VENV)/bin/mephisto-es torture --stop router --kills 10 --seed 5 --server-type node

SEEDS ?= 1000
sites: $(VENV)/installed-for-tests ## Run whole jobs on simulated sites with faults from SEEDS=1000 seeds each, for half an hour on two idle cores.
	SITE_SEEDS=$(SEEDS) SITE_RACES=500 $(PYTEST) tests/adapters/providers/test_runs_under_faults.py tests/adapters/providers/test_fair_pay_under_faults.py \
		tests/adapters/providers/test_paying_at_sites.py tests/adapters/providers/test_controls.py tests/adapters/providers/test_races.py
	SITE_UNITS=200 SITE_BROWSERS=20 $(VENV)/bin/python -m pytest -s -q tests/browser/test_site_job.py

datasets: $(VENV)/installed-for-tests ## Export the examples and load them with pandas, polars, datasets and mlcroissant.
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'datasets>=4' 'mlcroissant>=1.1'
	$(VENV)/bin/python -m tests.exported_datasets

SECONDS ?= 60
hostile: $(VENV)/installed-for-tests ## Serve honest workers with hostile clients of all kinds and without, SECONDS=60 each for each router.
	HOSTILE_SECONDS=$(SECONDS) $(VENV)/bin/python -m pytest -s -q tests/adapters/architects/router/test_hostile_clients.py

STATES ?= 1000
powercut: $(VENV)/installed-for-tests ## Check STATES=1000 states of each disk after a power cut; needs strace.
	POWERCUT_STATES=$(STATES) POWERCUT_SEED=$${RANDOM:-1} $(VENV)/bin/python -m pytest -q tests/powercut

mutants: $(VENV)/installed-for-tests ## Break each promise on purpose and check that the tests notice.
	$(VENV)/bin/python -m tests.mutants

simulated-mutants: $(VENV)/installed-for-tests ## Break each promise of the core on purpose and check that N=100 seeds of the simulation notice four of five.
	$(VENV)/bin/python -m tests.mutants --by-simulation $(N)

mutation-score: $(VENV)/installed-for-tests ## Change lifecycles and decisions in every small way, or MUTATIONS=100 of them, and count what the tests notice.
	$(VENV)/bin/python -m tests.mutants.score $(if $(MUTATIONS),--some $(MUTATIONS) --seed $${RANDOM:-1})

PROOFS ?= 1000
proofs: $(VENV)/installed-for-tests ## Prove PROOFS=1000 units to three verifiers, one of them in Go, and try as many forgeries.
	PROVED_UNITS=$(PROOFS) FORGED_PROOFS=$(PROOFS) PROOF_SEED=$${RANDOM:-1} $(VENV)/bin/python -m pytest -q tests/adapters/sealing/test_foreign_verifiers.py

FILES ?= 1000
damage: $(VENV)/installed-for-tests ## Check what every command says about FILES=1000 log files damaged at random.
	$(VENV)/bin/python tests/adapters/log/damaged_files.py $(FILES)

constraints: $(VENV)/installed-for-tests ## Write the versions that CI installs: those that are installed here.
	@{ echo "# Versions that .ci/run installs, so that a release of somebody else breaks no build. \`make constraints\` writes them anew."; \
		$(VENV)/bin/python -m pip list --format=freeze | grep -Evi '^(pip|setuptools|mephisto-es)=='; } >.ci/constraints.txt

sbom: ## Write sbom.json, what an installation consists of (CycloneDX), for a release.
	$(PYTHON) -m venv --clear $(VENV)-sbom
	$(VENV)-sbom/bin/python -m pip install --quiet --disable-pip-version-check '.[pandas,parquet,postgres,proof]'
	$(PYTHON) -m venv $(VENV)-release
	$(VENV)-release/bin/python -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7'
	$(VENV)-release/bin/cyclonedx-py environment --output-reproducible -o sbom.json $(VENV)-sbom/bin/python
	$(VENV)-release/bin/python .ci/add_vendored.py sbom.json

$(JAVASCRIPT_TOOLS)/node_modules/installed: $(JAVASCRIPT_TOOLS)/package-lock.json
	npm --prefix $(JAVASCRIPT_TOOLS) ci --no-audit --no-fund --ignore-scripts --loglevel error
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(PIP_INSTALL) '.[test,bench]'
	@touch $@

# The page of the commands shows the help of all verbs, and some need an extra.
$(VENV)/installed-for-docs: $(VENV)/installed
	$(PIP_INSTALL) '.[docs,proof,postgres]'
	@touch $@

$(VENV)-mephisto/installed: tests/benchmarks/mephisto_requirements.txt
	$(PYTHON) -m venv $(VENV)-mephisto
	$(VENV)-mephisto/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	$(VENV)-mephisto/bin/python -m pip install --quiet --disable-pip-version-check --no-deps mephisto==1.1.1
	@touch $@

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (on Debian: apt-get install python3)." >&2; exit 1; }
# Debian packages a part of Python that virtual environments need separately.
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; } \
		|| { echo "$(PYTHON) cannot make virtual environments (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) .
	@touch $@
