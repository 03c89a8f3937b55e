"""PABEE (Zhou et al., NeurIPS 2020): all layers' classifiers trained jointly, exit by patience."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.core.files import File
from cascadebert.encoders.loading import load_encoder
from cascadebert.models.base import Inputs
from cascadebert.models.heads import (
    JointExits,
    Pooler,
    initialise,
)
from cascadebert.systems.method import Run


class Model(JointExits):
    """A classifier after every layer, behind one pooler that all layers share."""

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        pretrained = load_encoder(encoder)
        config = pretrained.config
        super().__init__(run, pretrained, added=config.num_hidden_layers)
        self.encoder = pretrained
        self.pooler = Pooler(pretrained)
        self.dropout = nn.Dropout(getattr(config, "hidden_dropout_prob", 0.1))
        self.classifiers = nn.ModuleList(
            initialise(nn.Linear(config.hidden_size, len(labels)), config)
            for _ in range(config.num_hidden_layers)
        )

    def forward(self, inputs: Inputs) -> torch.Tensor:
        layers = self.encoder(**inputs, output_hidden_states=True).hidden_states[1:]
        mask = inputs["attention_mask"]
        logits = [self.exit_logits(exit, states, mask) for exit, states in enumerate(layers)]
        return torch.stack(logits, dim=1).float()

    def exit_logits(
        self, exit: int, states: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        state = self.exit_state(exit, states, attention_mask)
        return self.classifiers[exit](self.dropout(self.pooler(state)))

    def run_encoder(self, inputs: Inputs) -> None:
        self.encoder(**inputs)

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The exits' cross-entropies, weighted by depth: sum_j j CE_j / sum_j j."""
        logits = self(inputs)
        losses = (j * cross_entropy(logits[:, j - 1], gold) for j in self.depths)
        return logits, sum(losses, logits.new_zeros(())) / sum(self.depths)

    def added_exits(self) -> list[nn.Module]:
        return [self.pooler, self.classifiers]
