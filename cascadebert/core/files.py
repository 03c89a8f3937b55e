"""Files that are whole or not there: written beside their place and renamed into it."""

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

    If the body raises, nothing is left behind and what stood at `path` stays as it was. What a
    killed process left behind is cleared by the next one that writes to `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.draft-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        # The suffix stays: writers such as numpy and pandas choose the format by it.
        yield (draft := scratch / path.name)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(draft, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
