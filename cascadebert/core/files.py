"""Writes files so that each is whole or missing: beside its place, then renamed into it."""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

File = str | os.PathLike[str]  # the path of a file or a folder


@contextmanager
def replacing(path: File) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a folder to; renames it into place at the end.

    If the body raises, nothing new is left behind, and a file or folder at `path` stays as it was.
    A killed process may leave a draft behind; the next process that writes to `path` deletes it. Of
    two processes that write to `path` at once, each has its own draft, and the last one counts.
    The content is on the disk before it gets its name, so a power failure leaves no empty file. The
    umask says who may read it.

    Raises IsADirectoryError if a file would take the place of a folder, and OSError, before the
    body, if something is mounted at `path`, such as a volume of a container: nothing can be renamed
    into its place.
    """
    path = Path(path)
    if os.path.ismount(path):
        said = "what is mounted cannot be replaced; name another file or folder, such as one in it"
        raise OSError(errno.EBUSY, said, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.draft-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        if not _is_held(left):
            shutil.rmtree(left, ignore_errors=True)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    except OSError as error:  # names the draft, which nobody asked for
        raise OSError(error.errno, error.strerror, str(path)) from error
    descriptor = os.open(scratch, os.O_RDONLY)
    try:
        _lock(descriptor)
        # The suffix stays: writers such as numpy and pandas choose the format by it.
        yield (draft := scratch / path.name)
        (like := scratch / f"{path.name}.mode").touch()
        mode = like.stat().st_mode  # as the umask says
        for part in [draft, *draft.rglob("*")]:
            if part.is_file():
                part.chmod(mode)  # safetensors writes files that only their owner can read
            _sync(part)
        if path.is_dir():
            if not draft.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            _replace_folder(path, draft, scratch / f"{path.name}.replaced")
        else:
            os.replace(draft, path)
        _sync(path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(descriptor)


def _is_held(scratch: Path) -> bool:
    """Whether a process still writes to this draft."""
    try:
        descriptor = os.open(scratch, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Locks an open draft until it is closed; returns whether no other process has locked it."""
    import fcntl  # not on Windows, where a cascade can be loaded all the same

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # this file system has no locks
    return True


def _replace_folder(path: Path, draft: Path, aside: Path) -> None:
    """Moves a folder aside and the draft into its place; moves the folder back if that fails."""
    try:
        path.rename(aside)
        os.replace(draft, path)
    except BaseException:  # also what a signal raises between the two
        if aside.is_dir() and not path.exists():
            aside.rename(path)
        raise


def _sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
