"""BERxiT (Xin et al., EACL 2021): the last exit alone and all exits together, trained in turns."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.encoders.loading import load_classifier
from cascadebert.encoders.weights import load_weights, save_weights
from cascadebert.systems import Run
from cascadebert.systems.shared.heads import (
    POOLING,
    Scaling,
    has_pooler,
    off_ramps,
    pool,
    pooling_option,
)

EXIT_RULE = "entropy"
OPTIONS = {
    "required": ["encoder"],
    "properties": {"encoder": {"type": "string", "format": "encoder"}, "pooling": POOLING},
}


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    return {"": [Run("berxit", options["encoder"], pooling_option(options))]}


class Model(nn.Module):
    """An off-ramp after every layer but the last, where the model's own classifier is.

    Off-ramps on an encoder that came without a pooler start from scaled states, as in PABEE.
    """

    def __init__(self, run, encoder, labels, parents=()):
        super().__init__()
        self.classifier = load_classifier(encoder, labels)
        self.ramps = off_ramps(self.classifier, len(labels))
        self.scales = nn.ModuleList(Scaling(self.classifier.config.hidden_size) for _ in self.ramps)
        self.unscaled = not has_pooler(self.classifier)
        self.depths = list(range(1, self.classifier.config.num_hidden_layers + 1))
        self.pooling = run.option("pooling", "first")

    def forward(self, inputs):
        outputs = self.classifier(**inputs, output_hidden_states=True)
        states = outputs.hidden_states[1:-1]  # the first are the embeddings
        logits = [
            ramp(scale(pool(layer, inputs["attention_mask"], self.pooling)))
            for ramp, scale, layer in zip(self.ramps, self.scales, states, strict=True)
        ]
        return torch.stack([*logits, outputs.logits], dim=1).float()

    def objective(self, inputs, gold, step, steps):
        """In turns, the last exit's cross-entropy alone and the sum of all exits'."""
        logits = self(inputs)
        losses = [cross_entropy(logits[:, exit], gold) for exit in range(len(self.depths))]
        return logits, losses[-1] if step % 2 == 0 else sum(losses)

    def added_exits(self):
        return [self.ramps]

    def save(self, folder):
        save_weights(self, folder)

    def load(self, folder):
        load_weights(self, folder)
