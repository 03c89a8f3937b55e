"""BERxiT (Xin et al., EACL 2021): the last exit alone and all exits together, trained in turns."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.core.files import File
from cascadebert.encoders.loading import load_classifier
from cascadebert.models.base import Inputs
from cascadebert.models.heads import (
    JointExits,
    make_off_ramps,
)
from cascadebert.systems.method import Run


class Model(JointExits):
    """An off-ramp after every layer but the last, where the model's own classifier is."""

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        classifier = load_classifier(encoder, labels, pooling=run.pooling)
        super().__init__(run, classifier, added=classifier.config.num_hidden_layers - 1)
        self.classifier = classifier
        self.ramps = make_off_ramps(classifier, len(labels))

    def forward(self, inputs: Inputs) -> torch.Tensor:
        outputs = self.classifier(**inputs, output_hidden_states=True)
        layers, mask = outputs.hidden_states[1:-1], inputs["attention_mask"]  # 0: the embeddings
        logits = [self.exit_logits(exit, states, mask) for exit, states in enumerate(layers)]
        return torch.stack([*logits, outputs.logits], dim=1).float()

    def exit_logits(
        self, exit: int, states: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        return self.ramps[exit](self.exit_state(exit, states, attention_mask))

    def run_encoder(self, inputs: Inputs) -> torch.Tensor:
        return self.classifier(**inputs).logits

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """In turns, the last exit's cross-entropy alone and the sum of all exits'."""
        logits = self(inputs)
        losses = [cross_entropy(logits[:, exit], gold) for exit in range(len(self.depths))]
        return logits, losses[-1] if step % 2 == 0 else sum(losses, logits.new_zeros(()))

    def added_exits(self) -> list[nn.Module]:
        return [self.ramps]
