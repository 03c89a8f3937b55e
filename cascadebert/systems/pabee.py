"""PABEE (Zhou et al., NeurIPS 2020): all layers' classifiers trained jointly, exit by patience."""

from collections.abc import Sequence

from cascadebert.systems.exits import PATIENCE
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, pooling_option

EXIT_RULE = PATIENCE
OPTIONS = EXIT_OPTIONS


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    run = Run("pabee", options["encoder"], pooling_option(options))
    return [Candidate(label="", runs=(run,))]
