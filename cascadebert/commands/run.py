"""`cascadebert run`."""

import argparse
import importlib.util
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from cascadebert.commands import interruptible
from cascadebert.core.errors import UserError
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.experiment.check import check


def run(parsed: argparse.Namespace) -> int:
    """Runs the workflow, then makes its report. Returns the exit status: 130 after Ctrl-C."""
    results = check(parsed.configuration)
    if importlib.util.find_spec("snakemake") is None:
        raise UserError("Snakemake is not installed; pip install 'cascadebert[workflow]'")
    if parsed.cores is not None and parsed.cores < 1:
        raise UserError(f"--cores is {parsed.cores}; give a number from 1 on")
    cores = parsed.cores or "all"  # as many as this process may use, which os.cpu_count is not
    snakemake = [sys.executable, interruptible.__file__, "snakemake"]
    snakemake += ["--snakefile", str(WORKFLOW_FOLDER / "Snakefile")]
    work = ["--cores", str(cores), *parsed.snakemake, "--configfile", parsed.configuration]
    if parsed.dry_run or {"-n", "--dry-run"} & set(parsed.snakemake):
        return _call([*snakemake, "--dry-run", *work])
    report = Path(results, "report.html")
    # Of other targets alone, the report would lack its first page.
    if not parsed.snakemake or parsed.snakemake[0].startswith("-"):
        snakemake += ["--report", str(report), "--report-after-run"]
    began = time.time()
    status = _call([*snakemake, *work])
    if status != 0:
        again = f"cascadebert run {shlex.quote(parsed.configuration)}"
        print(f"What was finished is kept; to go on, give `{again}` again.", file=sys.stderr)
        return status if status == interruptible.INTERRUPTED else 1
    if report.exists() and report.stat().st_mtime >= began:  # `--unlock`, say, makes none
        print(f"The report is {report}. Next: cascadebert export {results} --system SYSTEM FOLDER")
    return 0


def _call(command: list[str]) -> int:
    """Runs a command, which Ctrl-C and SIGTERM end in its own way.

    Returns its exit status; 130 after Ctrl-C, which the terminal sends to all processes of the
    group. A second Ctrl-C changes nothing.
    """
    process = subprocess.Popen(command)
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        process.send_signal(number)  # for when the signal came to this process alone

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, stop),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, frame: process.terminate()),
    }
    try:
        status = process.wait()
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
    return interruptible.INTERRUPTED if stopped else status
