"""BERT-PKD (Sun et al., EMNLP 2019): the student also learns the teacher's intermediate states."""

from collections.abc import Sequence

from cascadebert.systems import kd
from cascadebert.systems.exits import LAST
from cascadebert.systems.method import ENCODER, Candidate, Options, Run, run_options

# Of 10, 100, 500 and 1000 in the paper (Section 4.2). The mean over the width makes the same beta
# weigh six times as much at width 128 as at 768; this one stays within their range at both.
BETA = 100

EXIT_RULE = LAST
OPTIONS = {
    "required": ["encoder", "layers"],
    "properties": {
        "encoder": ENCODER,
        "layers": {"type": "integer", "minimum": 2, "description": "of the student"},
        "temperature": kd.OPTIONS["properties"]["temperature"],
        "weight": kd.OPTIONS["properties"]["weight"],
        "beta": {
            "type": "number",
            "minimum": 0,
            "description": f"weight of the intermediate states; default: {BETA}",
        },
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    teacher = Run("finetune", options["encoder"])
    run = Run("pkd", options["encoder"], run_options(options), (teacher,))
    return [Candidate(label="", runs=(run,))]
