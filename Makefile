# make run   the embedded experiment, and where its report is
# make test  the tests
# make bench what the performance figures come from
# Each sets up what it needs in .venv. CONFIG=file runs another experiment.

PYTHON ?= python3.11
CORES ?= 2
CONFIG ?=
VENV := .venv
BIN := $(VENV)/bin
OVERRIDE := $(if $(CONFIG),--configfile $(CONFIG))
EXPERIMENT = $(shell sed -n 's/^experiment: *\([^ \#]*\).*/\1/p' $(or $(CONFIG),config.yaml))
REPORT = results/$(EXPERIMENT)/report.html

.PHONY: run test bench

run: $(VENV)/installed
	$(BIN)/snakemake --cores $(CORES) $(OVERRIDE)
	$(BIN)/snakemake --quiet all --report $(REPORT) $(OVERRIDE)
	@echo "The report is $(REPORT)"

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/python -m pytest

bench: $(VENV)/installed
	PYTHONPATH=. $(BIN)/python benchmarks/wall_clock.py

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@
