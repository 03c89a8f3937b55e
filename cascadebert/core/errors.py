"""Errors of the input or of the machine, explained to the user in one paragraph."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from cascadebert.core.files import File

FULL = (errno.ENOSPC, errno.EDQUOT)
# Some libraries pass on an error of the system only as text.
FULL_SAID = tuple(map(os.strerror, FULL))
NO_MEMORY_SAID = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate memory",
)


class UserError(Exception):
    """Bad input. The message names the file, key or row, and says how to mend it.

    Scripts print it without a traceback.
    """


@contextmanager
def explaining_damage(path: File, what: str) -> Iterator[None]:
    """Raises UserError for an error in the block, which reads a file or folder that a job made.

    what: what `path` should be, such as "predictions file"

    A missing file stays a FileNotFoundError, and too little memory what it is: `explain_error`
    explains both.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UserError(
            f"{path} is damaged or no {what} ({error}); delete it and run again"
        ) from error


class Mistakes:
    """The mistakes of an input, collected so that the user is told all of them at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Adds the message of a UserError that the block raises, and goes on after the block."""
        try:
            yield
        except UserError as error:
            self.found.append(str(error))

    def raise_all(self) -> None:
        """Raises UserError with one line for each mistake; does nothing without mistakes."""
        if self.found:
            raise UserError("\n".join(dict.fromkeys(self.found)))


def explain_error(error: BaseException, folder: File, in_job: bool = True) -> str | None:
    """Returns what went wrong and what to do; None if the cause may be in our code.

    folder: the folder of the experiment's results
    in_job: whether a job of a workflow failed, whose trainings are kept. A command of its own keeps
            nothing that is half done
    """
    if isinstance(error, UserError):
        return str(error)
    text = str(error)
    if getattr(error, "errno", None) in FULL or any(said in text for said in FULL_SAID):
        free = shutil.disk_usage(folder).free / 2**20
        return (
            f"no space left to write to ({text}); {free:,.0f} MiB are free on the disk of "
            f"{folder}. Free some and run the same command again"
            + (": what was finished is kept" if in_job else "")
        )
    if getattr(error, "errno", None) == errno.EFBIG or os.strerror(errno.EFBIG) in text:
        return (
            f"a file in {folder} would be larger than this process or the disk allows ({text}); "
            "raise the limit (ulimit -f), or write to another disk"
        )
    if not in_job:
        return None
    if is_out_of_memory(error):
        return (
            f"not enough memory ({text.splitlines()[0] if text else 'for the data'}). Lower "
            "training.batch_size or training.max_length, run fewer jobs at once (--cores, or "
            "--resources gpu_slot), or ask for more memory (mem_mb in the profile), and run the "
            "same command again: what was finished is kept"
        )
    if isinstance(error, FileNotFoundError) and error.filename:
        missing = os.path.abspath(error.filename)
        if missing.startswith(os.path.join(os.path.abspath(folder), "")):
            return f"{error.filename} is missing; run the same command again, and it is made again"
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the machine or of a GPU was not enough; libraries say so in words."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(said in text for said in NO_MEMORY_SAID)
