"""A model's predictions for a split: the contract between training and all later stages.

Every threshold, speed-up, table and figure is computed from these files alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import softmax

from cascadebert.core.arrays import load_arrays
from cascadebert.core.files import File, replacing

PROBES = "probes"  # subfolder of a folder of predictions: predictions of linear probes


@dataclass(frozen=True, eq=False)
class Predictions:
    """The logits of all exits of a system on one split.

    logits: float32 `[examples, exits, labels]`
    costs:  float64 `[exits]`, layers executed up to and including each exit, counted in layers of
            the experiment's reference model; increasing
    ids:    str `[examples]`
    labels: int64 `[examples]`, gold labels; -1 where there is none
    """

    logits: np.ndarray
    costs: np.ndarray
    ids: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        examples, exits, _ = self.logits.shape
        if (exits,) != self.costs.shape or {(examples,)} != {self.ids.shape, self.labels.shape}:
            raise ValueError(
                f"logits {self.logits.shape} do not fit costs {self.costs.shape}, "
                f"ids {self.ids.shape} and labels {self.labels.shape}"
            )

    @cached_property
    def probabilities(self) -> np.ndarray:
        """float64 `[examples, exits, labels]`."""
        return softmax(self.logits.astype(np.float64), axis=-1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """The largest class probability, `[examples, exits]` (paper, Eq. 4)."""
        return self.probabilities.max(axis=-1)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable label, int64 `[examples, exits]`."""
        return self.logits.argmax(axis=-1)

    def followed_by(self, later: "Predictions") -> "Predictions":
        """Returns the exits of `self`, followed by those of `later`, as in a cascade.

        Costs accumulate: an input that reaches the later model has already run the earlier one.
        """
        if not (np.array_equal(self.ids, later.ids) and np.array_equal(self.labels, later.labels)):
            raise ValueError("the two predictions are of different examples")
        return Predictions(
            np.concatenate([self.logits, later.logits], axis=1),
            np.concatenate([self.costs, self.costs[-1] + later.costs]),
            self.ids,
            self.labels,
        )

    def save(self, path: File) -> None:
        with replacing(path) as draft:
            np.savez(draft, logits=self.logits, costs=self.costs, ids=self.ids, labels=self.labels)

    @classmethod
    def load(cls, path: File) -> "Predictions":
        """Reads a file that `save` wrote. Raises UserError if it is damaged or another file."""
        with load_arrays(path, "predictions file") as stored:
            return cls(**{name: stored[name] for name in ("logits", "costs", "ids", "labels")})
