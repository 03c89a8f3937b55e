"""The texts of a task as token ids, one file a split."""

import logging
from pathlib import Path

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.data.task import Task
from cascadebert.data.tokens import tokenize
from cascadebert.encoders.loading import check_family, load_config, load_tokenizer

log = logging.getLogger(__name__)


TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")  # any of these files makes one
TOKENIZER = "tokenizer"  # the folder, beside the tokens, of the tokenizer that made them


def tokenize_task(task: Task, encoder: File, max_length: int, folder: File) -> None:
    """Writes <folder>/<split>.npz for every split, and the tokenizer to <folder>/tokenizer.

    Logs how many texts were cut. Raises UserError if the encoder cannot read these texts, or none
    of `max_length` tokens.
    """
    config = load_config(encoder)
    check_family(encoder, config)
    tokenizer = load_tokenizer(encoder)
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {encoder} has no padding token; name another encoder")
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


def check_tokens(tokens: Path, encoder: File, has_pairs: bool) -> None:
    """Raises UserError unless an encoder can read the tokens that another one's tokenizer made.

    tokens: the folder that `tokenize_task` wrote

    An encoder's folder without a tokenizer cannot contradict.
    """
    if not (tokens / TOKENIZER).is_dir():
        raise UserError(
            f"{tokens} was made by an earlier version; delete it and give the same command again: "
            "what was trained on it is trained anew"
        )
    if not any(Path(encoder, name).exists() for name in TOKENIZERS):
        return
    theirs, own = load_tokenizer(tokens / TOKENIZER), load_tokenizer(encoder)
    ids, own_ids = theirs.get_vocab(), own.get_vocab()
    for word in sorted({**ids, **own_ids}):
        if ids.get(word) != own_ids.get(word):
            said = [f"token {v[word]}" if word in v else "no token" for v in (ids, own_ids)]
            raise UserError(
                f"{encoder} shares the tokens of {tokens.name}, but has another vocabulary: "
                f"{word!r} is {said[0]} of {tokens.name} and {said[1]} of {encoder}. Delete "
                "`tokenizer` from its entry in `encoders`; it then gets tokens of its own"
            )
    segments = "token_type_ids"
    if has_pairs and segments in own.model_input_names and segments not in theirs.model_input_names:
        raise UserError(
            f"{encoder} shares the tokens of {tokens.name}, whose tokenizer does not number the "
            f"texts of a pair ({segments}), as {encoder} needs. Let {tokens.name} share the tokens "
            "of the other instead: move `tokenizer` to its entry in `encoders`"
        )
