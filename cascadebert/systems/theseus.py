"""BERT-of-Theseus (Xu et al., EMNLP 2020): a model's parts are replaced by smaller ones at random.

The fine-tuned model (the predecessor) is cut into k modules of L / k layers. In every step each of
them is replaced by its successor, which is one layer, with a probability that rises. Once it is 1,
the successors are fine-tuned on their own.
"""

from collections.abc import Sequence

from cascadebert.systems.exits import LAST
from cascadebert.systems.method import ENCODER, Candidate, Options, Run, run_options

EXIT_RULE = LAST
OPTIONS = {
    "required": ["encoder", "layers"],
    "properties": {
        "encoder": ENCODER,
        "layers": {"type": "integer", "minimum": 1, "description": "of the successor"},
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    predecessor = Run("finetune", options["encoder"])
    run = Run("theseus", options["encoder"], run_options(options), (predecessor,))
    return [Candidate(label="", runs=(run,))]
