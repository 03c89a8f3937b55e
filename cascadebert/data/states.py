"""The states that an exit reads, of some examples: what Figure 4 shows."""

from dataclasses import dataclass

import numpy as np

from cascadebert.core.arrays import load_arrays
from cascadebert.core.files import File, replacing


@dataclass(frozen=True, eq=False)
class States:
    """What the classifier at one of a model's exits reads of some examples.

    states: float32 `[examples, width]`: the first token's ([CLS]), or the mean of all tokens'
    ids:    str `[examples]`
    labels: int64 `[examples]`, gold labels
    exit:   which of the model's exits, from 0
    """

    states: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    exit: int

    def save(self, path: File) -> None:
        with replacing(path) as draft:
            np.savez(draft, **vars(self))

    @classmethod
    def load(cls, path: File) -> "States":
        """Raises UserError if the file is damaged or no states file."""
        with load_arrays(path, "states file") as stored:
            arrays = {name: stored[name] for name in ("states", "ids", "labels")}
            return cls(**arrays, exit=int(stored["exit"]))
