"""Gatekeeper (Rabanser et al. 2025): a cascade whose small models learn when they are wrong.

A fine-tuned small model is fine-tuned once more: it keeps its confidence where it is right and
becomes uniform where it is wrong. This is the nearest rival of difficulty-aware regularisation.
"""

from collections.abc import Sequence

from cascadebert.systems import cascade
from cascadebert.systems.exits import CONFIDENCES
from cascadebert.systems.method import Candidate, Options, Run

ALPHAS = (0.3, 0.5, 0.7)

EXIT_RULE = CONFIDENCES
OPTIONS = {
    "required": ["members"],
    "properties": {
        "members": cascade.OPTIONS["properties"]["members"],
        "alphas": {
            "type": "array",
            "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "minItems": 1,
            "uniqueItems": True,
            "description": "weights of the right answers' cross-entropy, among which the "
            f"development split chooses; default: {list(ALPHAS)}",
        },
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    """One alternative for each alpha; the last member always emits and is fine-tuned as usual."""
    [plain] = cascade.candidates(options, margins=())
    *early, last = plain.runs
    return [
        Candidate(label=str(alpha), runs=(*(_tuned(run, alpha) for run in early), last))
        for alpha in options.get("alphas", ALPHAS)
    ]


def _tuned(run: Run, alpha: float) -> Run:
    options = (*run.options, ("alpha", alpha))
    return Run("gatekeeper", run.encoder, options, (run,), continues=True)
