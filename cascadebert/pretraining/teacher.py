"""The teacher's outputs for the corpus, computed once and stored.

The output for a sentence is the mean of the teacher's hidden states. The output for a token of the
student is the mean of the states of the teacher tokens that cover the same characters. Teacher and
student therefore need not share a vocabulary. Token states are stored as the teacher's leading
principal components: a student of width d cannot hold more than d of them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from cascadebert.core.arrays import load_arrays
from cascadebert.core.errors import UserError, explaining_damage
from cascadebert.core.files import File, replacing
from cascadebert.encoders.loading import load_encoder, load_tokenizer
from cascadebert.pretraining.vocabulary import check_tokenizer, cut_batches
from cascadebert.training.loop import choose_dtype

_BATCH_TOKENS = 4096


@dataclass(frozen=True, eq=False)
class Space:
    """Means and principal axes of the teacher's states, from a sample of sentences.

    token_mean, sentence_mean: float32 `[teacher width]`
    axes:                      float32 `[teacher width, components]`, orthonormal columns, largest
                               variance first
    """

    token_mean: np.ndarray
    sentence_mean: np.ndarray
    axes: np.ndarray

    def save(self, path: File) -> None:
        with replacing(path) as draft:
            np.savez(draft, **vars(self))

    @classmethod
    def load(cls, path: File) -> "Space":
        """Reads a file that `save` wrote. Raises UserError if it is damaged or another file."""
        with load_arrays(path, "space file") as stored:
            return cls(**stored)


class Teacher:
    """A frozen encoder of any family.

    source: a folder or hub name
    layer:  the layer whose states are used; None for the last one
    prefix: text put before every sentence, as some sentence encoders need
    """

    def __init__(self, source: str, layer: int | None, prefix: str, precision: str, device: str):
        self.tokenizer = load_tokenizer(source)
        check_tokenizer(self.tokenizer)
        self.tokenizer.padding_side = "right"  # as `compute_states` pads the spans
        model = load_encoder(source, layer)
        # pyrefly: ignore[bad-argument-type]: transformers wraps `to` without its types
        self.model = model.to(device, choose_dtype(precision, torch.device(device))).eval()
        self.prefix = prefix
        self.device = device

    def compute_states(
        self, sentences: list[str], longest: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Yields positions, states, mask and spans of each batch, longest sentences first.

        positions: the numbers of the batch's sentences, `[batch]`
        states:    float32 `[batch, length, width]`
        mask:      bool `[batch, length]`, False for padding
        spans:     int64 `[batch, length, 2]`, first character of each token and the one after its
                   last, counted from the beginning of the sentence; negative or empty for tokens of
                   the prefix and special tokens
        """
        encoded = self.tokenizer(
            [self.prefix + sentence for sentence in sentences],
            truncation=True,
            max_length=longest,
            return_offsets_mapping=True,
        )
        lengths = np.array([len(ids) for ids in encoded["input_ids"]])
        for rows in cut_batches(np.arange(len(lengths)), lengths, _BATCH_TOKENS):
            batch = self.tokenizer.pad(
                {"input_ids": [encoded["input_ids"][row] for row in rows]}, return_tensors="pt"
            ).to(self.device)
            with torch.inference_mode():
                states = self.model(**batch).last_hidden_state.float().cpu().numpy()
            spans = np.zeros((*states.shape[:2], 2), np.int64)
            for i, row in enumerate(rows):
                spans[i, : lengths[row]] = encoded["offset_mapping"][row]
            spans -= len(self.prefix) * (spans[..., 1:] > 0)
            # Some tokenizers count the space before a word, here the prefix's last, as the word's.
            np.maximum(spans, 0, out=spans, where=spans[..., 1:] > 0)
            yield rows, states, batch["attention_mask"].cpu().numpy().astype(bool), spans


def fit_space(teacher: Teacher, sentences: list[str], components: int, longest: int) -> Space:
    """Returns means and principal axes of the teacher's token states on `sentences`.

    Raises UserError if there are fewer states, or narrower ones, than `components`.
    """
    tokens, means = [], []
    for _, states, mask, spans in teacher.compute_states(sentences, longest):
        words = mask & (spans[..., 1] > spans[..., 0]) & (spans[..., 0] >= 0)
        tokens.append(states[words])
        means.append(_average_states(states, mask))
    tokens = np.concatenate(tokens)
    if components > min(tokens.shape):
        raise UserError(
            f"the sample's {len(tokens)} teacher states of width {tokens.shape[1]} have no "
            f"{components} principal components; lower pretraining.encoder.width, or give more text"
        )
    mean = tokens.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(tokens - mean, rowvar=False))
    return Space(
        mean, np.concatenate(means).mean(axis=0), axes[:, ::-1][:, :components].astype(np.float32)
    )


def compute_outputs(
    teacher: Teacher,
    space: Space,
    sentences: list[str],
    tokenizer: PreTrainedTokenizerBase,
    longest: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the targets of `sentences`: one for each sentence and one for each student token.

    tokenizer: the student's

    Sentence targets are centred means of the teacher's states, float16
    `[sentences, teacher width]`. Token targets are float16 `[student tokens, components]`, zero
    where no teacher token covers the same characters.
    """
    encoded = tokenizer(
        sentences, truncation=True, max_length=longest, return_offsets_mapping=True
    )["offset_mapping"]
    starts = np.concatenate([[0], np.cumsum([len(spans) for spans in encoded])])
    sentence_targets = np.zeros((len(sentences), len(space.sentence_mean)), np.float16)
    token_targets = np.zeros((starts[-1], space.axes.shape[1]), np.float16)
    for rows, states, mask, spans in teacher.compute_states(sentences, longest):
        sentence_targets[rows] = _average_states(states, mask) - space.sentence_mean
        reduced = (states - space.token_mean) @ space.axes
        for i, row in enumerate(rows):
            token_targets[starts[row] : starts[row + 1]] = align_states(
                reduced[i], spans[i], np.array(encoded[row])
            )
    return sentence_targets, token_targets


def align_states(states: np.ndarray, spans: np.ndarray, student_spans: np.ndarray) -> np.ndarray:
    """Returns, for each student token, the mean state of the teacher tokens that overlap with it.

    states:        `[teacher tokens, components]`
    spans:         `[teacher tokens, 2]`, first character and the one after the last
    student_spans: `[student tokens, 2]`, likewise

    The result is `[student tokens, components]`, zero where no teacher token shares a character.
    """
    overlap = (spans[None, :, 0] < student_spans[:, None, 1]) & (
        student_spans[:, None, 0] < spans[None, :, 1]
    )
    overlap &= (spans[:, 0] >= 0) & (spans[:, 1] > spans[:, 0])
    overlap &= (student_spans[:, 1] > student_spans[:, 0])[:, None]
    weights = overlap / np.maximum(overlap.sum(axis=1, keepdims=True), 1)
    return weights.astype(states.dtype) @ states


def _average_states(states: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weights = mask.astype(states.dtype)
    return np.einsum("bld,bl->bd", states, weights) / weights.sum(axis=1, keepdims=True)


def count_taught(settings: dict[str, Any], available: int) -> tuple[int, int]:
    """Returns the number of sentences that the teacher reads, and the number in each shard.

    settings:  parts of the section `pretraining` of the configuration, `teacher` among them
    available: the number of sentences of the corpus
    """
    count = min(available, settings["teacher"].get("sentences", available))
    return count, math.ceil(count / settings["teacher"]["shards"])


def save_shard(folder: File, sentences: np.ndarray, tokens: np.ndarray) -> None:
    """Writes one shard of outputs as a folder of two arrays."""
    with replacing(folder) as draft:
        draft.mkdir()
        np.save(draft / "sentences.npy", sentences)
        np.save(draft / "tokens.npy", tokens)


class Outputs:
    """The stored outputs of all shards. An output is read from disk when it is needed.

    shards:     folders in the order of the sentences
    shard_size: sentences in a shard; the last shard may hold fewer
    starts:     `Tokens.starts` of the corpus

    Raises UserError if a shard is damaged.
    """

    def __init__(self, shards: Sequence[File], shard_size: int, starts: np.ndarray):
        self.sentences, self.tokens = zip(*map(_open_shard, shards), strict=True)
        self.size = shard_size
        self.starts = starts
        self.width = self.sentences[0].shape[1]
        self.components = self.tokens[0].shape[1]

    def read_sentence(self, index: int) -> np.ndarray:
        """Returns the target of a sentence, float16 `[teacher width]`."""
        return self.sentences[index // self.size][index % self.size]

    def read_words(self, index: int) -> np.ndarray:
        """Returns the targets of a sentence's tokens, float16 `[tokens, components]`."""
        shard = index // self.size
        base = self.starts[shard * self.size]
        return self.tokens[shard][self.starts[index] - base : self.starts[index + 1] - base]


def _open_shard(folder: File) -> tuple[np.ndarray, np.ndarray]:
    """Returns the arrays that `save_shard` wrote, on disk. Raises UserError if one is damaged."""
    with explaining_damage(folder, "folder of a teacher's outputs"):
        sentences, tokens = (
            np.load(Path(folder) / name, mmap_mode="r") for name in ("sentences.npy", "tokens.npy")
        )
        if not sentences.ndim == tokens.ndim == 2:
            raise ValueError(f"its arrays have the shapes {sentences.shape} and {tokens.shape}")
        return sentences, tokens
