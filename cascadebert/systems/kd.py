"""Knowledge distillation (Hinton et al. 2015): a small model learns a fine-tuned one's answers.

The student is the first k layers of an encoder (vanilla KD) or a whole smaller one. If that one was
pre-trained as such, this is BERT-PD, "pre-trained distillation" (Turc et al. 2019).
"""

from collections.abc import Sequence

from cascadebert.systems import finetune
from cascadebert.systems.exits import LAST
from cascadebert.systems.method import ENCODER, Candidate, Options, Run, run_options

EXIT_RULE = LAST
OPTIONS = {
    "required": ["encoder", "teacher"],
    "properties": {
        **finetune.OPTIONS["properties"],
        "teacher": {
            **ENCODER,
            "description": "the encoder that is fine-tuned first and then teaches",
        },
        "temperature": {"type": "number", "exclusiveMinimum": 0, "description": "default: 10"},
        "weight": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "of the teacher's answers beside the gold labels; default: 0.7",
        },
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    teacher = Run("finetune", options["teacher"])
    # `teacher` stays in the options, so that students of different teachers are different runs.
    run = Run("kd", options["encoder"], run_options(options), (teacher,))
    return [Candidate(label="", runs=(run,))]
