"""FastBERT (Liu et al., ACL 2020): heads that a fine-tuned model's own last head teaches."""

from collections.abc import Sequence

from cascadebert.systems.exits import NORMALISED_ENTROPY
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, run_options

EXIT_RULE = NORMALISED_ENTROPY
OPTIONS = EXIT_OPTIONS


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    # Its own stage one and not the full model's run, since the teacher's head is another one.
    encoder, pooling = options["encoder"], run_options(options)
    teacher = Run("fastbert", encoder, (("stage", "teacher"), *pooling))
    students = Run("fastbert", encoder, pooling, (teacher,), frozen=True)
    return [Candidate(label="", runs=(students,))]
