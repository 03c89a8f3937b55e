"""Checks that the members of a cascade and their tokenizers fit together."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascadebert.core.errors import UserError
from cascadebert.deployment.given import is_count
from cascadebert.deployment.members import Member

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


# Values of `problem_type` in a config.json for which pipelines compute no softmax.
MANY_OR_NONE = ("regression", "multi_label_classification")


def share_equal(
    tokenizers: Sequence["PreTrainedTokenizerBase"],
) -> list["PreTrainedTokenizerBase"]:
    """Copies of the tokenizers, of which equal ones are one object: texts are encoded once.

    Encoding sets a tokenizer's limit of tokens. The caller's own may be in use elsewhere.
    """
    distinct: dict[str, PreTrainedTokenizerBase] = {}
    own = copy.deepcopy(list(tokenizers))
    return [distinct.setdefault(describe_tokenizer(each), each) for each in own]


def describe_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Equal for tokenizers that encode every text alike; an own name for one that cannot say."""
    if not tokenizer.is_fast:
        return str(id(tokenizer))
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    inputs = "token_type_ids" in tokenizer.model_input_names
    return f"{inputs} {tokenizer.pad_token_id} {tokenizer.backend_tokenizer.to_str()}"


def check_member(
    name: str,
    member: Member,
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
) -> None:
    """Raises UserError unless the member can compute whatever the tokenizer gives it.

    A classifier that gives a text no one class of several is refused, too: its logits make no
    probabilities that add up to 1, and so no confidence.
    """
    kind = getattr(member.config, "problem_type", None)
    classes = len(member.config.id2label or {})
    if classes < 2 or kind in MANY_OR_NONE:
        said = f"problem_type {kind}" if kind in MANY_OR_NONE else f"{classes} label"
        raise UserError(
            f"{name} gives a text no one class of several ({said} in its config.json); a cascade "
            "takes classifiers that do"
        )
    frame = tokenizer.num_special_tokens_to_add(pair=True)  # such as [CLS] and [SEP]
    if not is_count(max_length) or max_length <= frame:
        raise UserError(f"max_length is {max_length!r}; give a whole number above {frame}")
    if member.positions is not None and max_length > member.positions:
        raise UserError(
            f"max_length is {max_length}, but {name} reads {member.positions} tokens at most"
        )
    if len(tokenizer) > member.words:
        raise UserError(
            f"{name} has a vocabulary of {member.words}, but its tokenizer one of "
            f"{len(tokenizer)}; give the tokenizer with which it was trained"
        )
    # transformers makes an empty tokenizer for a folder that has none.
    if len(tokenizer) <= len(getattr(tokenizer, "all_special_ids", ())):
        raise UserError(
            f"the tokenizer of {name} knows no word; does its folder have tokenizer.json? For the "
            "members of an exported cascade, give the folder of the cascade"
        )
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {name} has no padding token")
