"""BERxiT (Xin et al., EACL 2021): the last exit alone and all exits together, trained in turns."""

from collections.abc import Sequence

from cascadebert.systems.exits import ENTROPY
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, pooling_option

EXIT_RULE = ENTROPY
OPTIONS = EXIT_OPTIONS


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    run = Run("berxit", options["encoder"], pooling_option(options))
    return [Candidate(label="", runs=(run,))]
