"""A complete model, or the first k layers of one (BERT-kL), fine-tuned: one exit."""

from collections.abc import Sequence

from cascadebert.systems.exits import LAST
from cascadebert.systems.method import ENCODER, Candidate, Options, Run

EXIT_RULE = LAST
OPTIONS = {
    "required": ["encoder"],
    "properties": {
        "encoder": ENCODER,
        "layers": {"type": "integer", "minimum": 1, "description": "keep only the first k layers"},
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    layers = (("layers", options["layers"]),) if "layers" in options else ()
    return [Candidate(label="", runs=(Run("finetune", options["encoder"], layers),))]
