"""`python interruptible.py MODULE ...`: runs a module as `python -m` does, for Ctrl-C to end.

The first Ctrl-C raises KeyboardInterrupt, as always, and ends the process without a traceback.
Others are ignored, since they would break off the cleaning up.
"""

import runpy
import signal
import sys
from pathlib import Path
from types import FrameType

INTERRUPTED = 130  # the exit status that shells give to what Ctrl-C ended


def stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    if sys.path[0] == str(Path(__file__).parent):
        del sys.path[0]  # as a package's folder, it is no place to import from
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
