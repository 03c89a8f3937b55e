"""What every script does before its own work: log, take the granted threads, report errors."""

import logging
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

# The library lies beside the scripts, whether or not it is installed.
sys.path.insert(0, str(Path(__file__).parent.parent))

from cascadebert.errors import UserError


@contextmanager
def job(snakemake):
    """Logs to the rule's log and the terminal; ends with one paragraph if the input was bad."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.FileHandler(snakemake.log[0], "w"), logging.StreamHandler()],
    )
    logging.captureWarnings(True)
    # A scheduler's warning: leave as from an error, so that nothing half written stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.EX_TEMPFAIL))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(snakemake.threads)
    try:
        yield
    except UserError as error:
        logging.error("Error: %s", error)
        sys.exit(1)
    except Exception:
        logging.exception("Unexpected error")
        sys.exit(1)
