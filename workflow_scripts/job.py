"""The work that all scripts share, before and after their own.

A job runs once at a time, logs, takes the granted threads and GPU, refuses damaged inputs, records
checksums of the outputs, and reports errors.
"""

import logging
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything of Hugging Face is imported

# The library lies beside the scripts, whether or not it is installed.
sys.path.insert(0, str(Path(__file__).parent.parent))

from cascadebert.core.checksums import Ledger
from cascadebert.core.errors import UserError, explain_error
from cascadebert.training.gpus import take_slot

log = logging.getLogger("job")


@contextmanager
def job(snakemake):
    """Logs to the rule's log and the terminal; ends with one paragraph if the input was bad."""
    # Other libraries tell only what is wrong: fontTools alone would name every glyph of a figure.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for name in ("cascadebert", log.name):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # an error of the log must not hide the job's error
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(snakemake.threads)
    results = Path("results", snakemake.config["experiment"])
    ledger = Ledger(results)
    try:
        with once_at_a_time(Path(snakemake.log[0])):
            refuse_damaged(ledger, snakemake.input)
            # Only profiles/gpu asks for it: a scheduler gives a job its GPU in a way of its own.
            if snakemake.resources.get("gpu_slot"):
                take_slot(snakemake.config["gpu_slots"])
            yield
            for path in snakemake.output:
                ledger.record(path)
    except Exception as error:
        if said := explain_error(error, results):
            log.error("Error: %s", said)
        else:
            log.exception("Unexpected error")
        sys.exit(1)


def stop(*_):
    """Leaves as from an error, so that nothing half written stays."""
    log.info("asked to stop: the same command does this job again")
    sys.exit(os.EX_TEMPFAIL)


# A scheduler's warning, and Ctrl-C. Set here, since importing the libraries takes seconds.
for which in (signal.SIGTERM, signal.SIGINT):
    signal.signal(which, stop)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `cascadebert run` starts it blocked


@contextmanager
def once_at_a_time(path: Path):
    """Waits while another process does this very job, then logs to `path`.

    A scheduler that was killed leaves its jobs running, and the next one starts them again.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is at this job; waiting for it (%s)", lock.lock_file)
        lock.acquire()
    except NotImplementedError:
        log.warning("%s: this file system has no locks", path.parent)
    handler = logging.FileHandler(path, "w")
    handler.setFormatter(logging.getLogger().handlers[0].formatter)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        lock.release()


def refuse_damaged(ledger: Ledger, paths) -> None:
    damaged = [found for path in dict.fromkeys(paths) if (found := ledger.discard_damaged(path))]
    if damaged:
        raise UserError(
            f"{'; '.join(damaged)}. The damaged file or folder was deleted: run the same command "
            "again, and it is made again"
        )
