"""BERT-of-Theseus (Xu et al., EMNLP 2020): a model's parts are replaced by smaller ones at random.

See `systems.theseus`.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.encoders.layers import list_layers, replaced_layers
from cascadebert.encoders.loading import load_classifier
from cascadebert.models import finetune
from cascadebert.models.base import Inputs
from cascadebert.systems.method import Run

# The example of the authors' public code: it begins with a rate of 0.3, which rises by 0.0006 a
# step; on MRPC (15 epochs of 115 steps) it is 1 after two thirds of the steps.
FIRST_RATE = 0.3
RISE = 2 / 3


def replacing_rate(step: int, steps: int) -> float:
    """The probability that a module is replaced, min(1, k t + b): their linear scheduler."""
    return min(1.0, FIRST_RATE + (1 - FIRST_RATE) * step / (RISE * steps))


class Model(finetune.Model):
    """The successor: k layers, between the embeddings and the head of the predecessor.

    As in the authors' public code only these layers are trained, and they start as the first k
    layers of the predecessor.
    """

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        super().__init__(run, parents[0], labels, parents)
        self.predecessor = load_classifier(parents[0], labels).requires_grad_(False)
        successors, layers = len(list_layers(self.classifier)), len(list_layers(self.predecessor))
        if layers % successors:
            raise UserError(
                f"{run.name}: {layers} layers cannot be cut into {successors} modules of the same "
                f"size; `layers` has to divide {layers}"
            )
        self.module_size = layers // successors
        self.classifier.requires_grad_(False)
        list_layers(self.classifier).requires_grad_(True)

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy of the predecessor in which random modules are replaced."""
        rate = replacing_rate(step, steps)
        replaced = torch.rand(len(list_layers(self.classifier))) < rate
        logits = self.mixed(inputs, replaced.tolist())
        loss = cross_entropy(logits[:, 0], gold)
        if not replaced.any():
            loss.requires_grad_()  # nothing in it is trained, but backward() has to work
        return logits, loss

    def mixed(self, inputs: Inputs, replaced: list[bool]) -> torch.Tensor:
        """Logits `[batch, 1, labels]` of the predecessor with these of its modules replaced."""
        own = list_layers(self.predecessor)
        layers = []
        for i, successor in enumerate(list_layers(self.classifier)):
            module = own[i * self.module_size : (i + 1) * self.module_size]
            layers += [successor] if replaced[i] else module
        with replaced_layers(self.predecessor, layers):
            return self.predecessor(**inputs).logits[:, None].float()
