"""BERT-PKD (Sun et al., EMNLP 2019): the student also learns the teacher's intermediate states."""

from collections.abc import Sequence

from cascadebert.systems import kd
from cascadebert.systems.exits import LAST
from cascadebert.systems.method import ENCODER, Candidate, Options, Run, run_options

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
            "description": "weight of the intermediate states; default: 100",
        },
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    teacher = Run("finetune", options["encoder"])
    run = Run("pkd", options["encoder"], run_options(options), (teacher,))
    return [Candidate(label="", runs=(run,))]
