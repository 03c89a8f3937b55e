"""Linear exits: a logistic regression on the states after every layer of a fine-tuned model.

A linear probe (Alain and Bengio 2016, "Understanding intermediate layers using linear classifier
probes") is the first early exit that one would try. The model is fine-tuned as usual and frozen;
training is a convex problem, which is solved exactly and takes a second.
"""

from collections.abc import Sequence

from cascadebert.encoders.pooling import MEAN
from cascadebert.systems.exits import ENTROPY
from cascadebert.systems.method import ENCODER, POOLING, Candidate, Options, Run, run_options

EXIT_RULE = ENTROPY
OPTIONS = {
    "required": ["encoder"],
    "properties": {
        "encoder": ENCODER,
        "pooling": {**POOLING, "description": "the state that is read; default: mean"},
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    backbone = Run("finetune", options["encoder"])
    given = run_options({"pooling": MEAN, **options})
    run = Run("linear", options["encoder"], given, (backbone,), frozen=True)
    return [Candidate(label="", runs=(run,))]
