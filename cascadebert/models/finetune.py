"""A complete model, or the first k layers of one (BERT-kL), fine-tuned: one exit."""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from cascadebert.core.files import File
from cascadebert.encoders.loading import label_names, load_classifier
from cascadebert.models.base import ExitModel, Inputs
from cascadebert.systems.method import Run


class Model(ExitModel):
    """The encoder's own classification head on its last layer."""

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        super().__init__()
        self.pooling = run.pooling
        self.classifier = load_classifier(encoder, labels, run.option("layers"), self.pooling)
        self.depths = [self.classifier.config.num_hidden_layers]

    def forward(self, inputs: Inputs) -> torch.Tensor:
        return self.classifier(**inputs).logits[:, None].float()

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self(inputs)
        return logits, cross_entropy(logits[:, 0], gold)

    def save(self, folder: File) -> None:
        """A model that `AutoModelForSequenceClassification.from_pretrained` reads."""
        self.classifier.save_pretrained(folder)

    def load(self, folder: File) -> None:
        self.classifier = load_classifier(folder, label_names(self.classifier.config))
