"""PABEE (Zhou et al., NeurIPS 2020): all layers' classifiers trained jointly, exit by patience."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.encoders.loading import load_encoder
from cascadebert.encoders.weights import load_weights, save_weights
from cascadebert.systems import Run
from cascadebert.systems.shared.heads import (
    POOLING,
    Pooler,
    Scaling,
    has_pooler,
    initialise,
    pool,
    pooling_option,
)

EXIT_RULE = "patience"
OPTIONS = {
    "required": ["encoder"],
    "properties": {"encoder": {"type": "string", "format": "encoder"}, "pooling": POOLING},
}


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    return {"": [Run("pabee", options["encoder"], pooling_option(options))]}


class Model(nn.Module):
    """A classifier after every layer, behind one pooler that all layers share.

    An encoder that came without a pooler gets one that starts from scaled states: those of an early
    layer may differ so little from text to text that nothing would be learnt from them.
    """

    def __init__(self, run, encoder, labels, parents=()):
        super().__init__()
        self.encoder = load_encoder(encoder)
        config = self.encoder.config
        self.pooler = Pooler(self.encoder)
        self.scales = nn.ModuleList(
            Scaling(config.hidden_size) for _ in range(config.num_hidden_layers)
        )
        self.unscaled = not has_pooler(self.encoder)
        self.dropout = nn.Dropout(getattr(config, "hidden_dropout_prob", 0.1))
        self.classifiers = nn.ModuleList(
            initialise(nn.Linear(config.hidden_size, len(labels)), config)
            for _ in range(config.num_hidden_layers)
        )
        self.depths = list(range(1, config.num_hidden_layers + 1))
        self.pooling = run.option("pooling", "first")

    def forward(self, inputs):
        states = self.encoder(**inputs, output_hidden_states=True).hidden_states[1:]
        pooled = [pool(layer, inputs["attention_mask"], self.pooling) for layer in states]
        logits = [
            classifier(self.dropout(self.pooler(scale(state))))
            for classifier, scale, state in zip(self.classifiers, self.scales, pooled, strict=True)
        ]
        return torch.stack(logits, dim=1).float()

    def objective(self, inputs, gold, step, steps):
        """The exits' cross-entropies, weighted by depth: sum_j j CE_j / sum_j j."""
        logits = self(inputs)
        weighted = sum(j * cross_entropy(logits[:, j - 1], gold) for j in self.depths)
        return logits, weighted / sum(self.depths)

    def added_exits(self):
        return [self.pooler, self.classifiers]

    def save(self, folder):
        save_weights(self, folder)

    def load(self, folder):
        load_weights(self, folder)
