# make run       the embedded experiment, and where its report is
# make test      the tests
# make test-fast those that train, download and draw nothing and start no process
# make bench     score against milliseconds: models, executed exits and cascades on their runtimes (after make run)
# make faults    kills, damages and fills up running workflows, and counts what is lost
# make showcase  copies the tables and figures of `make run` to docs/<experiment>
# make docs      the documentation as a site, in site/
# make reference writes the pages of docs/reference that follow from schemas, command line and docstrings
# All but showcase set up what they need in .venv. CONFIG=file makes run, bench and showcase take another experiment,
# PYTHON=python3.12 another Python (before .venv is there).

PYTHON ?= python3.11
CORES ?= 2
CONFIG ?=
VENV := .venv
BIN := $(VENV)/bin
# Quoted for the shell, whatever characters it has.
FILE := $(if $(CONFIG),'$(subst ','\'',$(CONFIG))')
OVERRIDE := $(if $(CONFIG),--configfile $(FILE))
CHECK = $(BIN)/python -m cascadebert.experiment.check $(FILE)
RESULTS = $(shell $(CHECK) 2> /dev/null)

# Packages are compiled when they are first imported, which is a tenth of them. Processes share what is compiled.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test lint-style lint-structure test-fast bench faults showcase docs reference

run: $(VENV)/installed
	@$(CHECK) > /dev/null
	$(BIN)/snakemake --cores $(CORES) --report $(RESULTS)/report.html --report-after-run $(OVERRIDE)
	@echo "The report is $(RESULTS)/report.html"

# One worker more than cores, since some tests wait.
test: $(VENV)/installed
	$(MAKE) --jobs 2 lint-style lint-structure
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint-style: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules workflow
	$(BIN)/snakemake --lint

lint-structure: $(VENV)/installed
	$(BIN)/lint-imports
	$(BIN)/pyrefly check

test-fast: $(VENV)/installed
	$(BIN)/python -m pytest -m "not slow" --ignore tests/workflow --numprocesses 2 --dist loadfile

# Without a check, the results of a wrong CONFIG would be those of the default experiment, or /.
bench: $(VENV)/installed
	@$(CHECK) > /dev/null
	PYTHONPATH=. $(BIN)/python benchmarks/performance.py $(RESULTS)

faults: $(VENV)/installed
	$(BIN)/python -m tests.workflow.faults

showcase:
	@$(CHECK) > /dev/null
	mkdir -p docs/$(notdir $(RESULTS))
	cp $(RESULTS)/tables/*.md $(RESULTS)/figures/*.png docs/$(notdir $(RESULTS))

docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site is site/index.html"

reference: $(VENV)/installed
	PYTHONPATH=. $(BIN)/python docs/scripts/reference.py

$(VENV)/docs: requirements-docs.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --requirement requirements-docs.txt
	touch $@

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
# The pip that comes with Python 3.11 takes more than twice as long.
	$(BIN)/python -m pip install --quiet 'pip>=26'
	$(BIN)/python -m pip install --quiet --no-compile --requirement requirements.txt
	touch $@
