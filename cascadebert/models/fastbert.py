"""FastBERT (Liu et al., ACL 2020): heads that a fine-tuned model's own last head teaches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from cascadebert.core.files import File
from cascadebert.encoders.loading import load_encoder
from cascadebert.encoders.pooling import FIRST, MEAN, pool
from cascadebert.models.base import ExitModel, Inputs
from cascadebert.models.heads import FrozenExits
from cascadebert.systems.method import Run

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Head(nn.Module):
    """A narrow self-attention over all tokens (Table 1 of FastBERT).

    Initial weights are those of PyTorch's linear layers, as in the authors' public code: three
    layers of BERT's small ones would let next to nothing of the states through.
    """

    def __init__(self, config: "PreTrainedConfig", labels: int, pooling: str = FIRST):
        super().__init__()
        self.pooling = pooling
        # 128 at BERT's 768, so that at any width a head works 2.5% of what a layer does; even,
        # because of the two attention heads.
        width = 2 * round(config.hidden_size / 12)
        self.narrow = nn.Linear(config.hidden_size, width)
        self.attention = nn.MultiheadAttention(
            width,
            num_heads=2,
            dropout=getattr(config, "attention_probs_dropout_prob", 0.1),
            batch_first=True,
        )
        # PyTorch starts its attention with other weights, and without biases.
        for weight, bias in (
            (self.attention.in_proj_weight, self.attention.in_proj_bias),
            (self.attention.out_proj.weight, self.attention.out_proj.bias),
        ):
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)
            nn.init.uniform_(bias, -(width**-0.5), width**-0.5)
        self.dense = nn.Linear(width, width)
        self.classify = nn.Linear(width, labels)

    def forward(self, states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, labels]` from states `[batch, tokens, width]`; padding has mask 0."""
        narrow = self.narrow(states).tanh()
        # Attention is computed only for the tokens whose result is read.
        asking = narrow[:, :1] if self.pooling == FIRST else narrow
        attended, _ = self.attention(
            asking, narrow, narrow, key_padding_mask=attention_mask == 0, need_weights=False
        )
        pooled = pool(attended, attention_mask, self.pooling)
        return self.classify(self.dense(pooled).tanh())


class Teacher(ExitModel):
    """Stage one: the encoder and the teacher's head on its last layer, fine-tuned."""

    def __init__(self, run: Run, encoder: File, labels: list[str]):
        super().__init__()
        self.encoder = load_encoder(encoder)
        self.head = Head(self.encoder.config, len(labels), run.pooling)
        self.pooling = MEAN  # of a probe: the head attends to all tokens
        self.depths = [self.encoder.config.num_hidden_layers]

    def forward(self, inputs: Inputs) -> torch.Tensor:
        states = self.encoder(**inputs).last_hidden_state
        return self.head(states, inputs["attention_mask"])[:, None].float()

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self(inputs)
        return logits, cross_entropy(logits[:, 0], gold)

    def added_exits(self) -> list[nn.Module]:
        return [self.head]


class Students(FrozenExits):
    """Stage two: a student's head on every layer but the last of the frozen teacher.

    They learn the teacher's distribution by its KL divergence; `head_training` trains them until
    they stop improving.
    """

    reads_tokens = True

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        teacher = Teacher(run, encoder, labels)
        teacher.load(parents[0])
        config = teacher.encoder.config
        students = nn.ModuleList(
            Head(config, len(labels), run.pooling) for _ in range(config.num_hidden_layers - 1)
        )
        super().__init__(teacher, students, config.num_hidden_layers, teacher.pooling)

    def exit_pooling(self, exit: int) -> str:
        return self.pooling  # also of the last one, the teacher's

    @torch.no_grad()
    def read(self, inputs: Inputs) -> Inputs:
        """The states of all tokens, since every head attends to all of them."""
        mask = inputs["attention_mask"]
        teacher = cast(Teacher, self.backbone)
        states = teacher.encoder(**inputs, output_hidden_states=True).hidden_states
        last = teacher.head(states[-1], mask)
        between = torch.stack(states[1:-1], dim=2)  # the first are the embeddings
        return {"states": between.float(), "attention_mask": mask, "last": last.float()}

    def exit_logits(
        self, exit: int, states: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        if exit == len(self.heads):
            return cast(Teacher, self.backbone).head(states, attention_mask)
        return super().exit_logits(exit, states, attention_mask)

    def run_encoder(self, inputs: Inputs) -> None:
        cast(Teacher, self.backbone).encoder(**inputs)

    def loss(self, logits: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
        """The students' KL divergences, summed (Eq. 6).

        Eq. 5 prints KL(student || teacher). The authors' public code minimises, as distillation
        usually does, KL(teacher || student), and so do we.
        """
        log_probabilities = logits.log_softmax(dim=-1)
        students, teacher = log_probabilities[:, :-1], log_probabilities[:, -1:]
        return kl_div(students, teacher.expand_as(students), log_target=True, reduction="batchmean")


def Model(run: Run, encoder: File, labels: list[str], parents: Sequence[File]) -> ExitModel:
    """The model of either stage."""
    return Students(run, encoder, labels, parents) if parents else Teacher(run, encoder, labels)
