"""Texts as token ids, encoded once for each task and tokenizer, and read in batches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from cascadebert.core.arrays import load_arrays
from cascadebert.core.files import File, replacing

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedTokenizerBase

# Examples are shuffled, then sorted by length within pools of this many batches. A batch then needs
# little padding, and is still a nearly random sample.
POOL = 50


@dataclass(frozen=True, eq=False)
class TokenizedTexts:
    """Texts, or pairs of texts, as an encoder reads them.

    tokens:   int32 `[all tokens]`, the texts' token ids one after another
    segments: uint8 `[all tokens]`, 0 for the text and 1 for its pair; None if the encoder does not
              tell the two apart
    offsets:  int64 `[texts + 1]`, text i is tokens[offsets[i]:offsets[i + 1]]
    cut:      bool `[texts]`, whether the text was longer than an encoder was to read
    padding:  the id that pads a batch
    """

    tokens: np.ndarray
    segments: np.ndarray | None
    offsets: np.ndarray
    cut: np.ndarray
    padding: int

    def __len__(self) -> int:
        return len(self.cut)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def pad(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the encoder's inputs for these rows, int64 `[rows, longest row]`."""
        pieces = [slice(self.offsets[row], self.offsets[row + 1]) for row in rows]
        width = max(piece.stop - piece.start for piece in pieces)
        inputs = {
            "input_ids": np.full((len(rows), width), self.padding, dtype=np.int64),
            "attention_mask": np.zeros((len(rows), width), dtype=np.int64),
        }
        if self.segments is not None:
            inputs["token_type_ids"] = np.zeros((len(rows), width), dtype=np.int64)
        for i, piece in enumerate(pieces):
            length = piece.stop - piece.start
            inputs["input_ids"][i, :length] = self.tokens[piece]
            inputs["attention_mask"][i, :length] = 1
            if self.segments is not None:
                inputs["token_type_ids"][i, :length] = self.segments[piece]
        return inputs

    def batch(self, rows: np.ndarray) -> "dict[str, torch.Tensor]":
        """Returns `pad` as tensors."""
        import torch

        return {name: torch.from_numpy(array) for name, array in self.pad(rows).items()}


@dataclass(frozen=True, eq=False)
class TokenizedSplit(TokenizedTexts):
    """The tokens of a split.

    ids:    str `[examples]`
    labels: int64 `[examples]`, -1 where there is none
    """

    ids: np.ndarray
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> "TokenizedSplit":
        """Returns these rows as a split of their own."""
        pieces = [slice(self.offsets[row], self.offsets[row + 1]) for row in rows]
        return replace(
            self,
            ids=self.ids[rows],
            labels=self.labels[rows],
            tokens=np.concatenate([self.tokens[piece] for piece in pieces]),
            segments=None
            if self.segments is None
            else np.concatenate([self.segments[piece] for piece in pieces]),
            offsets=np.concatenate([[0], np.cumsum(self.lengths[rows])]),
            cut=self.cut[rows],
        )

    def save(self, path: File) -> None:
        arrays = {name: value for name, value in vars(self).items() if value is not None}
        with replacing(path) as draft:
            np.savez(draft, **arrays)

    @classmethod
    def load(cls, path: File) -> "TokenizedSplit":
        """Reads a file that `save` wrote. Raises UserError if it is damaged or another file."""
        with load_arrays(path, "tokens file") as stored:
            arrays: dict[str, Any] = {"segments": None, **stored}
            return cls(**arrays | {"padding": int(stored["padding"])})


def tokenize(
    table: "pd.DataFrame",
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    chunk: int = 10_000,
) -> TokenizedSplit:
    """Encodes a split (columns id, text, text_pair, label), texts cut at `max_length` tokens."""
    parts = []
    for start in range(0, len(table), chunk):
        rows = table.iloc[start : start + chunk]
        pairs = rows["text_pair"].tolist() if has_pairs(table) else None
        parts.append(encode_texts(rows["text"].tolist(), pairs, tokenizer, max_length))
    lengths = np.concatenate([part.lengths for part in parts])
    segments = [part.segments for part in parts if part.segments is not None]
    return TokenizedSplit(
        ids=table["id"].to_numpy(dtype=str),
        labels=table["label"].fillna(-1).to_numpy(dtype=np.int64),
        tokens=np.concatenate([part.tokens for part in parts]),
        segments=np.concatenate(segments) if segments else None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        cut=np.concatenate([part.cut for part in parts]),
        padding=parts[0].padding,
    )


def has_pairs(table: "pd.DataFrame") -> bool:
    """Returns whether the examples of a split are pairs of texts."""
    return bool(table["text_pair"].notna().any())


def encode_texts(
    texts: list[str],
    pairs: list[str] | None,
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
) -> TokenizedTexts:
    """Encodes texts, or pairs of texts, cut at `max_length` tokens."""
    given = texts if pairs is None else list(zip(texts, pairs, strict=True))
    if tokenizer.is_fast:
        # Calling the tokenizer itself takes twice as long for a single text.
        backend = tokenizer.backend_tokenizer
        backend.no_padding()
        backend.enable_truncation(max_length)
        encoded = backend.encode_batch_fast(given)
        ids = [each.ids for each in encoded]
        segments = [each.type_ids for each in encoded]
        cut = [bool(each.overflowing) for each in encoded]
    else:
        found = tokenizer(texts, pairs, verbose=False)
        cut = [len(row) > max_length for row in found["input_ids"]]
        found = tokenizer(texts, pairs, truncation=True, max_length=max_length)
        ids, segments = found["input_ids"], found.get("token_type_ids")
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    return TokenizedTexts(
        tokens=np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=lengths.sum()),
        segments=np.fromiter(chain.from_iterable(segments), dtype=np.uint8, count=lengths.sum())
        if "token_type_ids" in tokenizer.model_input_names
        else None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        cut=np.array(cut, dtype=bool),
        padding=tokenizer.pad_token_id,
    )


def make_shuffled_batches(
    lengths: np.ndarray, batch_size: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Returns an epoch of training batches: every row once, in shuffled batches of like length."""
    order = generator.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), batch_size * POOL):
        pool = order[start : start + batch_size * POOL]
        pool = pool[np.argsort(-lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def make_sorted_batches(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yields batches for prediction: every row once, longest first, with the least padding."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
