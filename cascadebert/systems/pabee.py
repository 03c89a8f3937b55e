"""PABEE (Zhou et al., NeurIPS 2020): all layers' classifiers trained jointly, exit by patience."""

from collections.abc import Sequence

from cascadebert.systems.exits import PATIENCE
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, run_options

EXIT_RULE = PATIENCE
OPTIONS = EXIT_OPTIONS


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    run = Run("pabee", options["encoder"], run_options(options))
    return [Candidate(label="", runs=(run,))]
