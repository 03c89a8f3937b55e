"""A complete model, or the first k layers of one (BERT-kL), fine-tuned: one exit."""

from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.encoders.loading import load_classifier
from cascadebert.systems import Run

EXIT_RULE = "last"
OPTIONS = {
    "required": ["encoder"],
    "properties": {
        "encoder": {"type": "string", "format": "encoder"},
        "layers": {"type": "integer", "minimum": 1, "description": "keep only the first k layers"},
    },
}


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    layers = (("layers", options["layers"]),) if "layers" in options else ()
    return {"": [Run("finetune", options["encoder"], layers)]}


class Model(nn.Module):
    """The encoder's own classification head on its last layer."""

    def __init__(self, run, encoder, labels, parents=()):
        super().__init__()
        self.classifier = load_classifier(encoder, labels, run.option("layers"))
        self.depths = [self.classifier.config.num_hidden_layers]
        self.pooling = "first"

    def forward(self, inputs):
        return self.classifier(**inputs).logits[:, None].float()

    def objective(self, inputs, gold, step, steps):
        logits = self(inputs)
        return logits, cross_entropy(logits[:, 0], gold)

    def save(self, folder):
        """A model that `AutoModelForSequenceClassification.from_pretrained` reads."""
        self.classifier.save_pretrained(folder)

    def load(self, folder):
        labels = list(self.classifier.config.label2id)
        self.classifier = load_classifier(folder, labels)
