# make run       the embedded experiment, and where its report is
# make test      the tests
# make test-fast those that train nothing, download nothing and start no process
# make bench     does the cascade save the time that it promises? (after make run)
# make faults    kills, damages and fills up running workflows, and counts what is lost
# make showcase  copies the tables and figures of `make run` to docs/<experiment>
# All but the last set up what they need in .venv. CONFIG=file makes run and showcase take another experiment,
# PYTHON=python3.12 another Python (before .venv is there).

PYTHON ?= python3.11
CORES ?= 2
CONFIG ?=
VENV := .venv
BIN := $(VENV)/bin
OVERRIDE := $(if $(CONFIG),--configfile '$(CONFIG)')
EXPERIMENT = $(shell $(BIN)/python -c 'import sys, yaml; \
	files = [yaml.safe_load(open(name)) for name in sys.argv[1:]]; \
	print(next(file["experiment"] for file in files if "experiment" in file))' \
	$(if $(CONFIG),'$(CONFIG)') config.yaml)
REPORT = results/$(EXPERIMENT)/report.html

.PHONY: run test test-fast bench faults showcase

run: $(VENV)/installed
	$(BIN)/snakemake --cores $(CORES) $(OVERRIDE)
	$(BIN)/snakemake --quiet all --report $(REPORT) $(OVERRIDE)
	@echo "The report is $(REPORT)"

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules workflow
	$(BIN)/lint-imports
	$(BIN)/pyrefly check
	$(BIN)/snakemake --lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/installed
	$(BIN)/python -m pytest -m "not slow" --ignore tests/workflow --numprocesses 2 --dist loadfile

bench: $(VENV)/installed
	PYTHONPATH=. $(BIN)/python benchmarks/wall_clock.py

faults: $(VENV)/installed
	$(BIN)/python -m tests.workflow.faults

showcase:
	mkdir -p docs/$(EXPERIMENT)
	cp results/$(EXPERIMENT)/tables/*.md results/$(EXPERIMENT)/figures/*.png docs/$(EXPERIMENT)

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@
