"""CascadeBERT: complete models of growing depth; an input leaves at the first that is confident."""

from cascadebert.systems import Run

EXIT_RULE = "confidence"
OPTIONS = {
    "required": ["members"],
    "properties": {
        "members": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 2,
            "uniqueItems": True,
            "description": "encoders, from the smallest to the largest",
        },
        "dar": {"type": "boolean", "description": "difficulty-aware regularisation"},
    },
}


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    """Without DAR the fine-tuned members; with it one alternative for each margin.

    The last member always emits, so its confidence is never asked for: it is not regularised
    (paper, Section 4.1: "the difficulty score is evaluated based on the 2-layer model").
    """
    *early, last = options["members"]
    if not options.get("dar", False):
        return {"": [Run("finetune", member) for member in (*early, last)]}
    return {
        str(margin): [
            *(Run("finetune", member, (("margin", margin),)) for member in early),
            Run("finetune", last),
        ]
        for margin in margins
    }
