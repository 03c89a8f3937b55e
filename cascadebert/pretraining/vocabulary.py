"""The tokenizer of a family of encoders, and the corpus as token ids."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, PreTrainedTokenizerBase

from cascadebert.core.arrays import load_arrays
from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train_wordpiece(sentences: list[str], size: int, longest: int) -> BertTokenizer:
    """Returns a lower-cased WordPiece tokenizer of exactly `size` entries, learnt from `sentences`.

    longest: the tokenizer's model_max_length

    Raises UserError if the sentences are too few for so many entries.

    The WordPiece trainer of the tokenizers library merges byte pairs, but breaks ties in the order
    of a hash table, which differs from process to process. The BPE trainer is therefore used here.
    Before training, characters inside a word are moved to a Unicode plane of their own. The first
    character of a piece then tells whether the piece begins a word, and the BPE trainer is
    deterministic.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    counts = Counter()
    for sentence in sentences:
        pieces = splitter.pre_tokenize_str(normalizer.normalize_str(sentence))
        counts.update(word for word, _ in pieces)
    letters = Counter()
    for word, count in counts.items():
        for letter in word:
            letters[letter] += count
    ranked = sorted(letters, key=lambda letter: (-letters[letter], letter))
    alphabet = set(ranked[: min(size // 4, max(100, size // 20))])
    shift = sys.maxunicode + 1 - 0x20000  # the private planes 15 and 16
    words = (
        word[0] + "".join(chr(ord(letter) % 0x20000 + shift) for letter in word[1:])
        for word in counts.elements()
        if alphabet.issuperset(word)
    )
    learner = Tokenizer(models.BPE())
    learner.train_from_iterator(
        words,
        trainers.BpeTrainer(vocab_size=size - len(SPECIAL), min_frequency=2, show_progress=False),
    )
    found = learner.get_vocab()
    pieces = [
        piece if ord(piece[0]) < shift else "##" + piece
        for piece in sorted(found, key=found.__getitem__)
    ]
    plain = {shift + ord(letter) % 0x20000: letter for letter in alphabet}
    pieces = [piece.translate(plain) for piece in pieces]
    if len(pieces) + len(SPECIAL) < size:
        raise UserError(
            f"the corpus is too small for a vocabulary of {size}: its {len(sentences)} sentences "
            f"give {len(pieces) + len(SPECIAL)} word pieces; give more text or set "
            f"pretraining.vocabulary.size to at most {len(pieces) + len(SPECIAL)}"
        )
    vocabulary = {piece: i for i, piece in enumerate([*SPECIAL, *pieces])}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=longest)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises UserError unless the tokenizer is fast and has the tokens that pre-training needs."""
    if not tokenizer.is_fast:
        raise UserError(
            f"{tokenizer.name_or_path}: it has no fast tokenizer, which alignment needs"
        )
    for role in ("pad_token_id", "cls_token_id", "sep_token_id"):
        if getattr(tokenizer, role) is None:
            raise UserError(f"{tokenizer.name_or_path}: the tokenizer has no {role}")


@dataclass(frozen=True, eq=False)
class Tokens:
    """Sentences as token ids, one after another.

    ids:    int32 `[tokens]`, special tokens included
    starts: int64 `[sentences + 1]`; sentence i is ids[starts[i] : starts[i + 1]]
    """

    ids: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """int64 `[sentences]`."""
        return np.diff(self.starts)

    def save(self, path: File) -> None:
        with replacing(path) as draft:
            np.savez(draft, ids=self.ids, starts=self.starts)

    @classmethod
    def load(cls, path: File) -> "Tokens":
        """Reads a file that `save` wrote. Raises UserError if it is damaged or another file."""
        with load_arrays(path, "tokens file") as stored:
            return cls(stored["ids"], stored["starts"])

    @classmethod
    def of(cls, sentences: list[str], tokenizer: PreTrainedTokenizerBase, longest: int) -> "Tokens":
        """Returns the tokens of `sentences`, each cut at `longest` tokens."""
        ids, lengths = [], []
        for first in range(0, len(sentences), 10_000):
            encoded = tokenizer(
                sentences[first : first + 10_000],
                truncation=True,
                max_length=longest,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
            lengths += [len(sentence) for sentence in encoded]
            ids.append(np.fromiter((i for sentence in encoded for i in sentence), np.int32))
        return cls(np.concatenate(ids), np.concatenate([[0], np.cumsum(lengths)]))


def cut_batches(rows: np.ndarray, lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Yields batches of these sentences, longest first, of at most `budget` tokens with padding.

    A longer sentence is a batch of its own.

    lengths: tokens of each sentence of the corpus, `[sentences]`
    """
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    first = 0
    while first < len(rows):
        size = max(1, budget // int(lengths[rows[first]]))
        yield rows[first : first + size]
        first += size


def read_sentences(path: File) -> list[str]:
    """Returns the sentences of a file that `write_sentences` wrote."""
    return Path(path).read_text(encoding="utf-8").split("\n")[:-1]


def write_sentences(path: File, sentences: list[str]) -> None:
    """Writes the sentences to a text file, one a line."""
    with replacing(path) as draft:
        draft.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
