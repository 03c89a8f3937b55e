"""`python interruptible.py MODULE ...`: runs a module as `python -m` does, for Ctrl-C to end.

The first Ctrl-C raises KeyboardInterrupt in the main thread, as always, and ends the process
without a traceback. Later ones change nothing, since they would break off the cleaning up.
A thread pool that starts a thread is not interrupted. It would not know of this thread, and its
`shutdown` would not wait for it: Snakemake would end while the job of the thread still runs.

SIGINT is blocked here, and the processes that the module starts inherit that. The signal waits
until a process unblocks it, so that Ctrl-C cannot meet a job that still imports its libraries.
"""

import runpy
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

INTERRUPTED = 130  # the exit status that shells give to what Ctrl-C ended
REPEAT_SECONDS = 0.05

interrupted = threading.Event()


def pass_on_interrupt(thread: int) -> None:
    """Waits for SIGINT, which all threads block, and sends SIGUSR1 to the thread until it heeds."""
    signal.sigwait({signal.SIGINT})
    while True:
        if not interrupted.is_set():
            signal.pthread_kill(thread, signal.SIGUSR1)
        time.sleep(REPEAT_SECONDS)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt once, unless a thread pool is starting a thread."""
    stack = (one.f_code for one, _ in traceback.walk_stack(frame))
    if ThreadPoolExecutor.submit.__code__ not in stack and not interrupted.is_set():
        interrupted.set()
        raise KeyboardInterrupt


def heed_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Forgets an interrupt that was lost: a weak reference's callback lets no exception through."""
    if unraisable.exc_type is KeyboardInterrupt:
        interrupted.clear()
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGUSR1, interrupt)
    sys.unraisablehook = heed_again
    main = threading.get_ident()
    threading.Thread(target=pass_on_interrupt, args=[main], daemon=True).start()
    if sys.path[0] == str(Path(__file__).parent):
        del sys.path[0]  # as a package's folder, it is no place to import from
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
