"""`python interruptible.py MODULE ...`: runs a module as `python -m` does, for Ctrl-C to end.

The first Ctrl-C raises KeyboardInterrupt in the main thread, as always, and ends the process
without a traceback. Later ones change nothing, since they would break off the cleaning up.

SIGINT is blocked here, and the processes that the module starts inherit that. The signal waits
until a process unblocks it, so that Ctrl-C cannot meet a job that still imports its libraries.
"""

import runpy
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

INTERRUPTED = 130  # the exit status that shells give to what Ctrl-C ended


def pass_on_interrupt(thread: int) -> None:
    """Waits for SIGINT, which all threads block, and sends SIGUSR1 to the thread instead."""
    signal.sigwait({signal.SIGINT})
    signal.pthread_kill(thread, signal.SIGUSR1)


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGUSR1, interrupt)
    main = threading.get_ident()
    threading.Thread(target=pass_on_interrupt, args=[main], daemon=True).start()
    if sys.path[0] == str(Path(__file__).parent):
        del sys.path[0]  # as a package's folder, it is no place to import from
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
