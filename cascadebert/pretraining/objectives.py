"""The losses of pre-training."""

from dataclasses import dataclass

import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from cascadebert.pretraining.student import Student

MASKED_SHARE = 0.15


@dataclass(frozen=True)
class Weights:
    """The weight of each objective in the loss. An objective of weight 0 is left out."""

    mlm: float = 0.0
    sentence: float = 0.0
    words: float = 0.0


def mask_words(
    ids: torch.Tensor,
    maskable: torch.Tensor,
    mask_id: int,
    vocabulary: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns corrupted ids, and the positions whose words are to be predicted.

    As in BERT (Devlin et al. 2019), 15% of the maskable positions are chosen. Of these, 80% become
    [MASK], 10% become a random word and 10% stay.

    ids:      int64 `[batch, length]`
    maskable: bool `[batch, length]`

    Both results are `[batch, length]`, int64 and bool.
    """
    draw = torch.rand(ids.shape, generator=generator).to(ids.device)
    how = torch.rand(ids.shape, generator=generator).to(ids.device)
    words = torch.randint(vocabulary, ids.shape, generator=generator).to(ids.device)
    chosen = maskable & (draw < MASKED_SHARE)
    corrupted = torch.where(chosen & (how < 0.8), mask_id, ids)
    return torch.where(chosen & (how >= 0.9), words, corrupted), chosen


def compute_losses(
    student: Student,
    batch: dict[str, torch.Tensor],
    weights: Weights,
    corrupted: torch.Tensor | None = None,
    chosen: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Returns the losses of a batch by name, each a scalar.

    batch:             ids and mask `[batch, length]`; with a teacher also sentence
                       `[batch, teacher width]` and words `[batch, length, components]`, zero where
                       there is no target
    corrupted, chosen: see `mask_words`; needed for the loss mlm

    The losses are:

    sentence: 1 - cosine between the teacher's centred sentence vector and a linear map of a state
              of the student, averaged over two states: the pooled [CLS], and the mean of all tokens
    words:    1 - cosine between the teacher's state of each token and a linear map of the student's
    mlm:      cross-entropy at the chosen positions

    With mlm, the other two losses see the corrupted text as well: one pass serves all objectives.
    """
    ids = batch["ids"] if corrupted is None else corrupted
    out = student.encoder(input_ids=ids, attention_mask=batch["mask"])
    states = out.last_hidden_state
    found = {}
    if weights.sentence:
        assert student.to_sentence is not None
        mask = batch["mask"].unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        vectors = student.to_sentence(torch.stack([out.pooler_output, mean])).float()
        found["sentence"] = 1 - cosine_similarity(vectors, batch["sentence"], dim=-1).mean()
    if weights.words:
        assert student.to_token is not None
        known = batch["words"].abs().sum(-1) > 0
        vectors = student.to_token(states[known]).float()
        found["words"] = 1 - cosine_similarity(vectors, batch["words"][known], dim=-1).mean()
    if weights.mlm:
        assert chosen is not None
        logits = student.score_words(states[chosen]).float()
        # A tiny batch may have no chosen position; the sum is then 0 and not NaN.
        found["mlm"] = cross_entropy(logits, batch["ids"][chosen], reduction="sum") / max(
            int(chosen.sum()), 1
        )
    return found


def weigh_losses(found: dict[str, torch.Tensor], weights: Weights) -> torch.Tensor:
    """Returns the weighted sum of the losses, a scalar."""
    weighted = (getattr(weights, name) * loss for name, loss in found.items())
    return sum(weighted, torch.zeros(()))
