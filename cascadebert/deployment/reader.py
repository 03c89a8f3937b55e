"""The texts of one call of a cascade, as its members read them."""

from typing import TYPE_CHECKING

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.data.tokens import TokenizedTexts, encode_texts, make_sorted_batches

if TYPE_CHECKING:
    from cascadebert.deployment.cascade import Cascade


def _compute_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities, float64 `[texts, classes]`; scipy's takes longer than a tokenizer."""
    with np.errstate(invalid="ignore"):  # the caller tells of what is no number
        powers = np.exp(logits - logits.max(axis=1, keepdims=True).astype(np.float64))
        return powers / powers.sum(axis=1, keepdims=True)


class Reader:
    """The texts of one call. Each tokenizer encodes them once, when a member first needs it."""

    def __init__(
        self, cascade: "Cascade", texts: list[str], pairs: list[str] | None, batch_size: int
    ):
        self.cascade, self.texts, self.pairs, self.batch_size = cascade, texts, pairs, batch_size
        self.encodings: dict[int, TokenizedTexts] = {}  # by tokenizer

    def compute(self, index: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns a member's probabilities `[rows, classes]`, and whether texts are cut `[rows]`.

        Raises UserError if a probability is no number.
        """
        tokenizer = self.cascade.tokenizers[index]
        if id(tokenizer) not in self.encodings:
            self.encodings[id(tokenizer)] = encode_texts(
                self.texts, self.pairs, tokenizer, self.cascade.max_length
            )
        encoded = self.encodings[id(tokenizer)]
        found = np.empty((len(rows), len(self.cascade.classes)))
        for batch in make_sorted_batches(encoded.lengths[rows], self.batch_size):
            logits = self.cascade.members[index].compute_logits(encoded.pad(rows[batch]))
            found[batch] = _compute_softmax(logits / self.cascade.temperatures[index])
        if not np.isfinite(found).all():
            row = rows[np.flatnonzero(~np.isfinite(found).all(axis=1))[0]]
            raise UserError(
                f"member {index + 1} of the cascade gives no number as a probability for "
                f"texts[{row}]; its weights are damaged, or its training went wrong"
            )
        return found, encoded.cut[rows]
