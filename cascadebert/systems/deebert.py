"""DeeBERT (Xin et al., ACL 2020): off-ramps trained on a frozen, fine-tuned model."""

from collections.abc import Sequence

from cascadebert.systems.exits import ENTROPY
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, run_options

EXIT_RULE = ENTROPY
OPTIONS = {
    "required": EXIT_OPTIONS["required"],
    "properties": {
        **EXIT_OPTIONS["properties"],
        "poolers": {
            "enum": ["fine-tuned", "pre-trained"],
            "description": "where the off-ramps' poolers start: as the fine-tuned model's "
            "(default), or as the encoder's own, as in the authors' code",
        },
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    # Stage one is ordinary fine-tuning, the same run as the full model's.
    backbone = Run("finetune", options["encoder"])
    poolers = options.get("poolers", "fine-tuned")
    start = () if poolers == "fine-tuned" else (("poolers", poolers),)
    details = (*run_options(options, "poolers"), *start)
    run = Run("deebert", options["encoder"], details, (backbone,), frozen=True)
    return [Candidate(label="", runs=(run,))]
