"""Knowledge distillation (Hinton et al. 2015): a small model learns a fine-tuned one's answers.

See `systems.kd`.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy, kl_div

from cascadebert.core.files import File
from cascadebert.encoders.loading import load_classifier
from cascadebert.models import finetune
from cascadebert.models.base import Inputs
from cascadebert.systems.method import Run

# Within what Sun et al. (2019, Section 4.2) search for vanilla KD and BERT-PKD, and what their
# public code sets for BERT-PKD.
TEMPERATURE = 10
WEIGHT = 0.7


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
