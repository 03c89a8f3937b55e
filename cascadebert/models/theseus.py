"""BERT-of-Theseus (Xu et al., EMNLP 2020): a model's parts are replaced by smaller ones at random.

The fine-tuned model (the predecessor) is cut into k modules of L / k layers. In every step each of
them is replaced by its successor, which is one layer, with a probability that rises. Once it is 1,
the successors are fine-tuned on their own.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.encoders.loading import load_classifier
from cascadebert.models import finetune
from cascadebert.models.base import Inputs
from cascadebert.systems.method import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
        successors, layers = len(stack(self.classifier)), len(stack(self.predecessor))
        if layers % successors:
            raise UserError(
                f"{run.name}: {layers} layers cannot be cut into {successors} modules of the same "
                f"size; `layers` has to divide {layers}"
            )
        self.module_size = layers // successors
        self.classifier.requires_grad_(False)
        stack(self.classifier).requires_grad_(True)

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy of the predecessor in which random modules are replaced."""
        rate = replacing_rate(step, steps)
        replaced = torch.rand(len(stack(self.classifier))) < rate
        logits = self.mixed(inputs, replaced.tolist())
        loss = cross_entropy(logits[:, 0], gold)
        if not replaced.any():
            loss.requires_grad_()  # nothing in it is trained, but backward() has to work
        return logits, loss

    def mixed(self, inputs: Inputs, replaced: list[bool]) -> torch.Tensor:
        """Logits `[batch, 1, labels]` of the predecessor with these of its modules replaced."""
        own = stack(self.predecessor)
        layers = []
        for i, successor in enumerate(stack(self.classifier)):
            module = own[i * self.module_size : (i + 1) * self.module_size]
            layers += [successor] if replaced[i] else module
        with stacked(self.predecessor, layers):
            return self.predecessor(**inputs).logits[:, None].float()


def stack(model: "PreTrainedModel") -> nn.ModuleList:
    """The model's layers, in order. Raises UserError if it has none of their own, as ALBERT."""
    _, layers = _find_stack(model)
    return layers


@contextmanager
def stacked(model: "PreTrainedModel", layers: Iterable[nn.Module]) -> Iterator[None]:
    """While it lasts, the model computes with these layers instead of its own."""
    name, own = _find_stack(model)
    owner_name, _, attribute = name.rpartition(".")
    owner = model.get_submodule(owner_name)
    setattr(owner, attribute, nn.ModuleList(layers))
    try:
        yield
    finally:
        setattr(owner, attribute, own)


def _find_stack(model: "PreTrainedModel") -> tuple[str, nn.ModuleList]:
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers:
            return name, module
    raise UserError(
        f"a {model.config.model_type} model has no list of layers of its own, so none of them can "
        "be replaced; take an encoder of another family for theseus"
    )
