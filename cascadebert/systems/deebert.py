"""DeeBERT (Xin et al., ACL 2020): off-ramps trained on a frozen, fine-tuned model."""

from collections.abc import Sequence

from cascadebert.systems.exits import ENTROPY
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, pooling_option

EXIT_RULE = ENTROPY
OPTIONS = EXIT_OPTIONS


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    # Stage one is ordinary fine-tuning, the same run as the full model's.
    backbone = Run("finetune", options["encoder"])
    run = Run("deebert", options["encoder"], pooling_option(options), (backbone,), frozen=True)
    return [Candidate(label="", runs=(run,))]
