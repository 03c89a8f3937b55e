"""The tokenizer of a family, and its corpus as token ids."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, PreTrainedTokenizerBase

from cascadebert.errors import UserError
from cascadebert.files import replacing

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train_wordpiece(sentences: list[str], size: int, longest: int) -> BertTokenizer:
    """A lower-cased WordPiece vocabulary of exactly `size` entries, learnt from `sentences`.

    longest: the tokenizer's model_max_length. Raises UserError if the text is too small for it.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        limit_alphabet=size // 20,
        special_tokens=SPECIAL,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    found = tokenizer.get_vocab()
    if len(found) < size:
        raise UserError(
            f"the corpus is too small for a vocabulary of {size}: its {len(sentences)} sentences "
            f"give {len(found)} word pieces; give more text or set pretraining: vocabulary: size: "
            f"to at most {len(found)}"
        )
    return BertTokenizer(vocab=found, do_lower_case=True, model_max_length=longest)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises UserError unless the tokenizer has what pre-training needs."""
    if not tokenizer.is_fast:
        raise UserError(f"{tokenizer.name_or_path}: no fast tokenizer; word alignment needs one")
    for role in ("pad_token_id", "cls_token_id", "sep_token_id"):
        if getattr(tokenizer, role) is None:
            raise UserError(f"{tokenizer.name_or_path}: the tokenizer has no {role}")


@dataclass(frozen=True, eq=False)
class Tokens:
    """Sentences as token ids, one after another.

    ids: int32 `[tokens]`, special tokens included
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

    def save(self, path: str | os.PathLike) -> None:
        with replacing(path) as draft:
            np.savez(draft, ids=self.ids, starts=self.starts)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Tokens":
        with np.load(path) as stored:
            return cls(stored["ids"], stored["starts"])

    @classmethod
    def of(cls, sentences: list[str], tokenizer: PreTrainedTokenizerBase, longest: int) -> "Tokens":
        """Tokenizes, cutting at `longest` tokens."""
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


def read_sentences(path: str | os.PathLike) -> list[str]:
    """The sentences of a corpus file made by the workflow, one a line."""
    return Path(path).read_text(encoding="utf-8").split("\n")[:-1]


def write_sentences(path: str | os.PathLike, sentences: list[str]) -> None:
    with replacing(path) as draft:
        draft.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
