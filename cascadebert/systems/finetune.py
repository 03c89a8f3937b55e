"""A complete model, or the first k layers of one (BERT-kL), fine-tuned: one exit."""

from collections.abc import Sequence

from cascadebert.systems.exits import LAST
from cascadebert.systems.method import ENCODER, POOLING, Candidate, Options, Run, run_options

EXIT_RULE = LAST
OPTIONS = {
    "required": ["encoder"],
    "properties": {
        "encoder": ENCODER,
        "layers": {"type": "integer", "minimum": 1, "description": "keep only the first k layers"},
        "pooling": POOLING,
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    run = Run("finetune", options["encoder"], run_options(options))
    return [Candidate(label="", runs=(run,))]
