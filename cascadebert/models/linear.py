"""Linear exits: a logistic regression on the states after every layer of a fine-tuned model.

See `systems.linear`.
"""

from collections.abc import Sequence

from torch import nn

from cascadebert.core.files import File
from cascadebert.encoders.loading import load_classifier
from cascadebert.models.heads import FrozenExits
from cascadebert.systems.method import Run

PACKAGES = ("scikit-learn",)  # solves the problem


class Model(FrozenExits):
    """A linear layer after every layer but the last, where the model's own classifier is."""

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        backbone = load_classifier(parents[0], labels)
        config = backbone.config
        exits = nn.ModuleList(
            nn.Linear(config.hidden_size, len(labels)) for _ in range(config.num_hidden_layers - 1)
        )
        super().__init__(backbone, exits, config.num_hidden_layers, run.pooling)
