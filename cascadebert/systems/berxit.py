"""BERxiT (Xin et al., EACL 2021): the last exit alone and all exits together, trained in turns."""

from collections.abc import Sequence

from cascadebert.systems.exits import ENTROPY
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, run_options

EXIT_RULE = ENTROPY
OPTIONS = EXIT_OPTIONS


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    run = Run("berxit", options["encoder"], run_options(options))
    return [Candidate(label="", runs=(run,))]
