"""What a cascade answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Answers:
    """A cascade's answers for some texts, in the order of the texts.

    `len` counts them. Iteration gives one record a text, which JSON and a pandas DataFrame take.

    classes:       the names of the labels
    probabilities: of every class, from the member that answered, float64 `[texts, classes]`
    exits:         index of the member that answered, int64 `[texts]`
    layers:        encoder layers that were executed, int64 `[texts]`
    truncated:     whether the text was cut, since the cascade reads `max_length` tokens, `[texts]`
    """

    classes: list[str]
    probabilities: np.ndarray
    exits: np.ndarray
    layers: np.ndarray
    truncated: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The name of the most probable class, `[texts]`."""
        return np.array(self.classes)[self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> np.ndarray:
        """The largest class probability, `[texts]`."""
        return self.probabilities.max(axis=1)

    def as_pipeline(self, top_k: int | None = 1) -> list[Any]:
        """The answers as `transformers.pipeline("text-classification")` gives them.

        top_k: 1 for one record {"label", "score"} a text; another number, or None for all classes,
               for a list of such records a text, the most probable class first
        """
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :top_k]
        ranked = [
            [{"label": self.classes[i], "score": float(row[i])} for i in best]
            for row, best in zip(self.probabilities, order, strict=True)
        ]
        return [records[0] for records in ranked] if top_k == 1 else ranked

    def __len__(self) -> int:
        return len(self.exits)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        columns = {
            "label": self.labels,
            "confidence": self.confidence,
            "exit": self.exits,
            "layers": self.layers,
            "truncated": self.truncated,
            "probabilities": self.probabilities,
        }
        for row in zip(*(values.tolist() for values in columns.values()), strict=True):
            record = dict(zip(columns, row, strict=True))
            record["probabilities"] = dict(zip(self.classes, record["probabilities"], strict=True))
            yield record
