"""Knowledge distillation (Hinton et al. 2015): a small model learns a fine-tuned one's answers.

The student is the first k layers of an encoder (vanilla KD) or a whole smaller one. If that one was
pre-trained as such, this is BERT-PD, "pre-trained distillation" (Turc et al. 2019).
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy, kl_div

from cascadebert.core.files import File
from cascadebert.encoders.loading import load_classifier
from cascadebert.systems import finetune
from cascadebert.systems.method import ENCODER, Candidate, Inputs, Options, Run
from cascadebert.systems.shared.exits import LAST

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

# Within what Sun et al. (2019, Section 4.2) search for vanilla KD and BERT-PKD, and what their
# public code sets for BERT-PKD.
TEMPERATURE = 10
WEIGHT = 0.7


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    # All of them, so that students of different teachers are different runs.
    given = tuple((name, value) for name, value in options.items() if name != "encoder")
    teacher = Run("finetune", options["teacher"])
    run = Run("kd", options["encoder"], tuple(sorted(given)), (teacher,))
    return [Candidate(label="", runs=(run,))]


def distillation_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    gold: torch.Tensor,
    weight: float,
    temperature: float,
) -> torch.Tensor:
    """(1 - weight) CE + weight T² KL(teacher || student), the latter of logits over T.

    T² keeps the two gradients in proportion when the temperature changes (Hinton et al. 2015,
    Section 2).

    student, teacher: logits, `[batch, labels]`
    gold:             labels, `[batch]`
    """
    soft = kl_div(
        (student / temperature).log_softmax(dim=-1),
        (teacher / temperature).log_softmax(dim=-1),
        log_target=True,
        reduction="batchmean",
    )
    return (1 - weight) * cross_entropy(student, gold) + weight * temperature**2 * soft


class Model(finetune.Model):
    """The student; the teacher, which is frozen, is there for training alone."""

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        super().__init__(run, encoder, labels, parents)
        self.teacher = load_classifier(parents[0], labels).requires_grad_(False)
        self.temperature = run.option("temperature", TEMPERATURE)
        self.weight = run.option("weight", WEIGHT)

    def train(self, mode: bool = True) -> "Model":
        super().train(mode)
        self.teacher.eval()  # a teacher answers as it does at inference, without dropout
        return self

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self(inputs)
        taught = self.teacher(**inputs).logits.float()
        return logits, distillation_loss(logits[:, 0], taught, gold, self.weight, self.temperature)
