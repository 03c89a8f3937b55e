"""Gatekeeper (Rabanser et al. 2025): confident where it is right, uniform where it is wrong."""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from cascadebert.core.files import File
from cascadebert.models import finetune
from cascadebert.models.base import Inputs
from cascadebert.systems.method import Run


def gatekeeper_loss(logits: torch.Tensor, gold: torch.Tensor, alpha: float) -> torch.Tensor:
    """alpha mean(1[right] CE) + (1 - alpha) mean(1[wrong] KL(p || uniform)).

    Both means are over all examples of the batch. Right and wrong are those of the model as it is
    at this step; no gradient passes through them.

    logits: `[batch, labels]`
    gold:   labels, int64 `[batch]`
    """
    right = logits.argmax(dim=-1) == gold
    log_probabilities = logits.log_softmax(dim=-1)
    # KL(p || uniform) = sum p log p + log labels
    entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
    distance = math.log(logits.shape[-1]) - entropy
    of_right = cross_entropy(logits, gold, reduction="none") * right
    return (alpha * of_right + (1 - alpha) * distance * ~right).mean()


class Model(finetune.Model):
    """Starts from the fine-tuned run that is its parent."""

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        super().__init__(run, encoder, labels, parents)
        self.load(parents[0])
        self.alpha = run.option("alpha")

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self(inputs)
        return logits, gatekeeper_loss(logits[:, 0], gold, self.alpha)
