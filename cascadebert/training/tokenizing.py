"""The texts of a task as token ids, one file a split."""

import logging

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.data.task import Task
from cascadebert.data.tokens import tokenize
from cascadebert.encoders.loading import check_family, load_config, load_tokenizer

log = logging.getLogger(__name__)


def tokenize_task(task: Task, encoder: File, max_length: int, folder: File) -> None:
    """Writes <folder>/<split>.npz for every split, and logs how many texts were cut.

    Raises UserError if the encoder cannot read these texts, or none of `max_length` tokens.
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
