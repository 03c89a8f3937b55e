"""DeeBERT (Xin et al., ACL 2020): off-ramps trained on a frozen, fine-tuned model."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.encoders import Pooler, initialise, load_classifier
from cascadebert.systems import Run
from cascadebert.weights import load_weights, save_weights

EXIT_RULE = "entropy"
OPTIONS = {
    "required": ["encoder"],
    "properties": {"encoder": {"type": "string", "format": "encoder"}},
}


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    # Stage one is ordinary fine-tuning, the same run as the full model's.
    backbone = Run("finetune", options["encoder"])
    return {"": [Run("deebert", options["encoder"], parents=(backbone,))]}


class Model(nn.Module):
    """Stage two: an off-ramp (pooler, dropout, classifier) after every layer but the last."""

    def __init__(self, run, encoder, labels, parents):
        super().__init__()
        self.backbone = load_classifier(parents[0], labels).requires_grad_(False)
        config = self.backbone.config
        self.ramps = nn.ModuleList(
            nn.Sequential(
                Pooler(self.backbone),
                nn.Dropout(getattr(config, "hidden_dropout_prob", 0.1)),
                initialise(nn.Linear(config.hidden_size, len(labels)), config),
            )
            for _ in range(config.num_hidden_layers - 1)
        )
        self.depths = list(range(1, config.num_hidden_layers + 1))

    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()  # what is frozen gives the off-ramps the states that inference gives
        return self

    def forward(self, inputs):
        with torch.no_grad():
            outputs = self.backbone(**inputs, output_hidden_states=True)
        states = outputs.hidden_states[1:-1]  # of layers 1 to L - 1; the first are the embeddings
        logits = [ramp(layer) for ramp, layer in zip(self.ramps, states, strict=True)]
        return torch.stack([*logits, outputs.logits], dim=1).float()

    def objective(self, inputs, gold, step, steps):
        """The sum of the off-ramps' cross-entropies; the last exit is not trained any more."""
        logits = self(inputs)
        return logits, sum(cross_entropy(logits[:, i], gold) for i in range(len(self.ramps)))

    def save(self, folder):
        """The off-ramps alone: the backbone lies in the parent run's folder."""
        save_weights(self.ramps, folder)

    def load(self, folder):
        load_weights(self.ramps, folder)
