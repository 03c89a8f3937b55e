"""The texts of a task as token ids, one file a split."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.data.task import Task
from cascadebert.data.tokens import has_pairs, tokenize
from cascadebert.encoders.loading import check_family, load_config, load_tokenizer

log = logging.getLogger(__name__)


TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")  # any of these files makes one
TOKENIZER = "tokenizer"  # the folder, beside the tokens, of the tokenizer that made them


def tokenize_task(
    task: Task, encoder: File, max_length: int, folder: File, sharers: Sequence[File] = ()
) -> None:
    """Writes <folder>/<split>.npz for every split, and the tokenizer to <folder>/tokenizer.

    Logs how many texts were cut.

    sharers: the folders of other encoders that will read these tokens

    Raises UserError if one of the encoders cannot read these texts, or none of `max_length` tokens.
    """
    config = load_config(encoder)
    check_family(encoder, config)
    tokenizer = load_tokenizer(encoder)
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {encoder} has no padding token; name another encoder")
    for sharer in sharers:
        check_vocabulary(encoder, sharer)
        if any(map(has_pairs, task.splits.values())):
            _check_segments(encoder, sharer)
    longest = min(
        tokenizer.model_max_length, getattr(config, "max_position_embeddings", max_length)
    )
    if max_length > longest:
        raise UserError(
            f"training.max_length is {max_length}, but {encoder} reads {longest} tokens at most"
        )
    with replacing(folder) as draft:
        tokenizer.save_pretrained(draft / TOKENIZER)  # before it is told to cut texts
        for split, table in task.splits.items():
            data = tokenize(table, tokenizer, max_length)
            if split == "train" and np.isin(data.tokens, tokenizer.all_special_ids).all():
                raise UserError(
                    f"{task.name}: {encoder} knows no word of the training texts; does it have "
                    "its tokenizer's files (tokenizer.json), and is it of their language?"
                )
            log.info(
                "%s: %d of %d texts were cut at %d tokens",
                split,
                data.cut.sum(),
                len(data),
                max_length,
            )
            data.save(draft / f"{split}.npz")


def check_vocabulary(encoder: File, sharer: File) -> None:
    """Raises UserError if an encoder that shares another one's tokens knows them by other numbers.

    A folder without a tokenizer cannot contradict.
    """
    if not _has_tokenizer(sharer):
        return
    ours, theirs = (load_tokenizer(folder).get_vocab() for folder in (encoder, sharer))
    for word in sorted({**ours, **theirs}):
        if ours.get(word) != theirs.get(word):
            said = [f"token {v[word]}" if word in v else "no token" for v in (ours, theirs)]
            raise UserError(
                f"{sharer} shares the tokens of {encoder}, but has another vocabulary: {word!r} is "
                f"{said[0]} of {encoder} and {said[1]} of {sharer}. Delete `tokenizer` from its "
                "entry in `encoders`; it then gets tokens of its own"
            )


def _check_segments(encoder: File, sharer: File) -> None:
    """Raises UserError if the sharer tells the texts of a pair apart by numbers that are not there.

    A folder without a tokenizer cannot contradict.
    """
    if _has_tokenizer(sharer) and _has_segments(sharer) and not _has_segments(encoder):
        raise UserError(
            f"{sharer} shares the tokens of {encoder}, whose tokenizer does not number the texts "
            f"of a pair (token_type_ids), as {sharer} needs. Let {encoder} share the tokens of "
            f"{sharer} instead: move `tokenizer` to its entry in `encoders`"
        )


def _has_segments(encoder: File) -> bool:
    return "token_type_ids" in load_tokenizer(encoder).model_input_names


def _has_tokenizer(encoder: File) -> bool:
    return any(Path(encoder, name).exists() for name in TOKENIZERS)
