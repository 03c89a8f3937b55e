"""The GPUs of one machine, shared out among its processes where no scheduler does it.

A GPU has one or more slots, each a lock on a file. The system releases the lock when the process
ends, however it ends.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

from cascadebert.core.errors import UserError

log = logging.getLogger(__name__)

# Locks are held until the process ends, since CUDA gives its memory back no sooner.
_held: list[FileLock] = []


def list_gpus() -> list[str]:
    """The GPUs that this process may use, by names that CUDA_VISIBLE_DEVICES takes.

    They are those that CUDA_VISIBLE_DEVICES names, or else all that the NVIDIA driver lists.
    Numbers, which count as nvidia-smi does, become UUIDs: one GPU has one name in all processes.
    Raises UserError if CUDA_VISIBLE_DEVICES counts further than the driver.
    """
    listed = _listed_by_driver()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return listed
    # As CUDA reads it: nothing from an empty name or a negative number on.
    names = takewhile(lambda n: n and not n.startswith("-"), map(str.strip, named.split(",")))
    return list(dict.fromkeys(_uuid(name, listed) for name in names))


def take_slot(slots: int, gpus: list[str] | None = None, poll_seconds: float = 1.0) -> str:
    """Takes one of the `slots` slots of a GPU until this process ends; waits until one is free.

    gpus: names as in CUDA_VISIBLE_DEVICES; default: `list_gpus()`

    The GPU with the fewest taken slots comes first. CUDA then sees no other GPU: call it before
    anything asks CUDA for one. Returns the GPU's name. Raises UserError if there is no GPU.
    """
    gpus = list_gpus() if gpus is None else gpus
    if not gpus:
        raise UserError(
            "the job is to have a GPU of its own, but this machine has none: nvidia-smi lists "
            "none, or CUDA_VISIBLE_DEVICES is empty; set it, or run without profiles/gpu"
        )
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        raise RuntimeError("CUDA has been initialised before a GPU was chosen for it")
    waiting = False
    while (taken := _free_slot(slots, gpus)) is None:
        if not waiting:
            log.info("waiting for a GPU: each of %d has %d jobs", len(gpus), slots)
            waiting = True
        time.sleep(poll_seconds)
    gpu, lock = taken
    _held.append(lock)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    log.info("GPU %s", gpu)
    return gpu


def _free_slot(slots: int, gpus: list[str]) -> tuple[str, FileLock] | None:
    """Locks a slot of the GPU with the most free ones; None if there is no free slot."""
    folder = Path(tempfile.gettempdir(), f"cascadebert-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UserError(
            f"{folder}, where the locks of GPUs lie, belongs to another user; set TMPDIR to a "
            "folder of your own"
        )
    # Counting takes the locks for a moment, which another process must not see.
    with FileLock(folder / "counting.lock"):
        free: dict[str, list[FileLock]] = {}
        for gpu in gpus:
            locks = [FileLock(folder / f"{gpu.replace('/', '_')}.{i}.lock") for i in range(slots)]
            free[gpu] = [lock for lock in locks if _acquired(lock)]
        best = max(gpus, key=lambda gpu: len(free[gpu]))
        chosen = free[best].pop() if free[best] else None
        for lock in (lock for locks in free.values() for lock in locks):
            lock.release()
    return (best, chosen) if chosen else None


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _listed_by_driver() -> list[str]:
    # Not from CUDA: once asked, it heeds no change of CUDA_VISIBLE_DEVICES.
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stdout.split() if result.returncode == 0 else []


def _uuid(name: str, listed: list[str]) -> str:
    """A number or the beginning of a UUID as a UUID, where the driver knows it."""
    if name.isdecimal() and listed:
        if int(name) >= len(listed):
            raise UserError(
                f"CUDA_VISIBLE_DEVICES names GPU {name}, but nvidia-smi lists {len(listed)}, from "
                "0; correct it"
            )
        return listed[int(name)]
    return next((uuid for uuid in listed if uuid.startswith(name)), name)
