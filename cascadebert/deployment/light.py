"""What serving needs of a member without transformers: its configuration and its tokenizer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.encoders.loading import READS_PAIRS
from cascadebert.encoders.shape import Shape, read_shape

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class ClassifierConfig(Shape):
    """The part of a classifier's configuration that answers depend on.

    reads_pairs:  whether texts are pairs; None if the classifier does not say
    problem_type: what it was trained for, as transformers calls it, or None
    """

    name_or_path: str
    id2label: dict[int, str]
    reads_pairs: bool | None
    problem_type: str | None


def read_classifier(folder: File) -> ClassifierConfig:
    """Reads the config.json of a folder. Raises UserError if it is missing or damaged."""
    shape = read_shape(folder)
    path = Path(folder, "config.json")
    if shape is None:
        raise UserError(f"{path} is missing or damaged; export the cascade again")
    config = json.loads(path.read_text(encoding="utf-8"))
    # transformers does not write its names for two labels without names.
    named = config.get("id2label") or {0: "LABEL_0", 1: "LABEL_1"}
    try:
        id2label = {int(number): label for number, label in named.items()}
    except (AttributeError, ValueError) as error:
        raise UserError(
            f"{path}: its id2label is damaged ({error}); export the cascade again"
        ) from error
    return ClassifierConfig(
        **vars(shape),
        name_or_path=str(folder),
        id2label=id2label,
        reads_pairs=config.get(READS_PAIRS),
        problem_type=config.get("problem_type"),
    )


class FastTokenizer:
    """A tokenizer.json, with what `encode_texts` and a cascade's checks ask of a tokenizer."""

    is_fast = True

    def __init__(self, folder: File, padding: int, inputs: list[str]):
        """
        padding: the id that pads a batch
        inputs:  the names of what the model reads, such as token_type_ids

        Raises UserError if the file is missing or damaged.
        """
        from tokenizers import Tokenizer

        path = Path(folder, TOKENIZER)
        try:
            self.backend_tokenizer: Any = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises Exception itself
            raise UserError(f"{path} is missing or damaged ({error})") from error
        self.pad_token_id = padding
        self.model_input_names = inputs

    def num_special_tokens_to_add(self, pair: bool) -> int:
        return self.backend_tokenizer.num_special_tokens_to_add(pair)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size()
