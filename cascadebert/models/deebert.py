"""DeeBERT (Xin et al., ACL 2020): off-ramps trained on a frozen, fine-tuned model."""

from collections.abc import Sequence

from cascadebert.core.files import File
from cascadebert.encoders.loading import load_classifier
from cascadebert.models.heads import (
    FrozenExits,
    make_off_ramps,
)
from cascadebert.systems.method import Run


class Model(FrozenExits):
    """Stage two: an off-ramp (pooler, dropout, classifier) after every layer but the last.

    The objective is the authors': the sum of the off-ramps' cross-entropies. The authors train
    them for as many epochs as the backbone and at its learning rate, which leaves the early ones
    far below a linear probe; `head_training` trains them until they stop improving.
    """

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        backbone = load_classifier(parents[0], labels)
        from_encoder = run.option("poolers") == "pre-trained"
        start = load_classifier(encoder, labels) if from_encoder else backbone
        ramps = make_off_ramps(start, len(labels))
        super().__init__(backbone, ramps, backbone.config.num_hidden_layers, run.pooling)
