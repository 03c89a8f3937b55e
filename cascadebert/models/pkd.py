"""BERT-PKD (Sun et al., EMNLP 2019): the student also learns the teacher's intermediate states."""

from collections.abc import Iterable, Sequence

import torch
from torch.nn.functional import mse_loss, normalize

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.models import kd
from cascadebert.models.base import Inputs
from cascadebert.systems.method import Run

# Of 10, 100, 500 and 1000 in the paper (Section 4.2). The mean over the width makes the same beta
# weigh six times as much at width 128 as at 768; this one stays within their range at both.
BETA = 100


def patience_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of states, each divided by its Euclidean norm (L_PT).

    student, teacher: states of the first token, `[batch, layers, width]`
    """
    return mse_loss(normalize(student, dim=-1), normalize(teacher, dim=-1))


class Model(kd.Model):
    """PKD-skip: layer j of k learns from layer j L / k of the teacher's L, for j < k.

    The last layer is left out, since its state is distilled already, by its answers.
    """

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        super().__init__(run, encoder, labels, parents)
        layers, depth = run.option("layers"), self.teacher.config.num_hidden_layers
        if depth % layers:
            raise UserError(
                f"{run.name}: the student's {layers} layers cannot learn from equally spaced ones "
                f"of {depth}; `layers` has to divide {depth}"
            )
        self.beta = run.option("beta", BETA)
        self.learning = range(1, layers)
        self.teaching = range(depth // layers, depth, depth // layers)

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        taught = self.teacher(**inputs, output_hidden_states=True)
        outputs = self.classifier(**inputs, output_hidden_states=True)
        logits = outputs.logits.float()
        loss = kd.distillation_loss(
            logits, taught.logits.float(), gold, self.weight, self.temperature
        )
        patience = patience_loss(
            _first_tokens(outputs.hidden_states, self.learning),
            _first_tokens(taught.hidden_states, self.teaching),
        )
        return logits[:, None], loss + self.beta * patience


def _first_tokens(hidden_states: Sequence[torch.Tensor], layers: Iterable[int]) -> torch.Tensor:
    """The first token's states after these layers, float32 `[batch, layers, width]`."""
    # The first of the hidden states are the embeddings, so that layers count from 1.
    states = [hidden_states[layer][:, 0] for layer in layers]
    return torch.stack(states, dim=1).float()
