"""DeeBERT (Xin et al., ACL 2020): off-ramps trained on a frozen, fine-tuned model."""

from cascadebert.encoders.loading import load_classifier
from cascadebert.systems import Run
from cascadebert.systems.shared.heads import POOLING, FrozenExits, off_ramps, pooling_option

EXIT_RULE = "entropy"
OPTIONS = {
    "required": ["encoder"],
    "properties": {"encoder": {"type": "string", "format": "encoder"}, "pooling": POOLING},
}


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    # Stage one is ordinary fine-tuning, the same run as the full model's.
    backbone = Run("finetune", options["encoder"])
    pooling = pooling_option(options)
    return {"": [Run("deebert", options["encoder"], pooling, (backbone,), frozen=True)]}


class Model(FrozenExits):
    """Stage two: an off-ramp (pooler, dropout, classifier) after every layer but the last.

    The objective is the authors': the sum of the off-ramps' cross-entropies. The authors train
    them for as many epochs as the backbone and at its learning rate, which leaves the early ones
    far below a linear probe; `head_training` trains them until they stop improving.
    """

    def __init__(self, run, encoder, labels, parents):
        backbone = load_classifier(parents[0], labels)
        pooling = run.option("pooling", "first")
        ramps = off_ramps(backbone, len(labels))
        super().__init__(backbone, ramps, backbone.config.num_hidden_layers, pooling)
