"""Reads files of arrays. A damaged one is named, and the user is told what to do with it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cascadebert.core.errors import explaining_damage
from cascadebert.core.files import File


@contextmanager
def load_arrays(path: File, what: str) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields the arrays of an npz file by name; each is read when it is asked for.

    what: what the file should be, such as "predictions file"

    Raises UserError if the file is damaged, or if the block finds that it is another file. No
    pickle in it is read.
    """
    with explaining_damage(path, what), np.load(Path(path), allow_pickle=False) as stored:
        yield stored
