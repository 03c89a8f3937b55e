"""`cascadebert run`."""

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

from cascadebert.core.errors import UserError
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.experiment.check import check


def run(parsed: argparse.Namespace) -> int:
    """Runs the workflow, then makes its report. Returns Snakemake's exit status."""
    results = check([parsed.configuration])
    if importlib.util.find_spec("snakemake") is None:
        raise UserError("Snakemake is not installed; pip install 'cascadebert[workflow]'")
    cores = os.cpu_count() or 1 if parsed.cores is None else parsed.cores
    if cores < 1:
        raise UserError(f"--cores is {cores}; give a number from 1 on")
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", WORKFLOW_FOLDER / "Snakefile"]
    configured = ["--configfile", parsed.configuration]
    work = ["--cores", str(cores), *parsed.snakemake]
    if parsed.dry_run:
        return _call([*snakemake, "--dry-run", *work, *configured])
    status = _call([*snakemake, *work, *configured])
    report = f"{results}/report.html"
    if status == 0:
        status = _call([*snakemake, "--quiet", "all", "--report", report, *configured])
    if status != 0:
        again = f"cascadebert run {parsed.configuration}"
        print(f"What was finished is kept; to go on, give `{again}` again.", file=sys.stderr)
        return 1
    print(f"The report is {report}. Next: cascadebert export {results} --system SYSTEM FOLDER")
    return 0


def _call(command: list[str | Path]) -> int:
    """Runs a command. Ctrl-C and SIGTERM reach it, and it ends in its own way."""
    process = subprocess.Popen(command)
    passed = signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal sends it to all processes of the group
                continue
    finally:
        signal.signal(signal.SIGTERM, passed)
