"""The difficulty-aware regularisation (DAR) that makes a model's confidence tell difficulty."""

from typing import overload

import numpy as np
import torch
from numpy.typing import ArrayLike


@overload
def difficulty_margin_loss(
    confidence: torch.Tensor, difficult: torch.Tensor | ArrayLike, margin: float
) -> torch.Tensor: ...


@overload
def difficulty_margin_loss(
    confidence: ArrayLike, difficult: torch.Tensor | ArrayLike, margin: float
) -> float: ...


def difficulty_margin_loss(
    confidence: torch.Tensor | ArrayLike, difficult: torch.Tensor | ArrayLike, margin: float
) -> torch.Tensor | float:
    """Asks that easy examples be more confident than difficult ones by a margin (Eq. 5 and 6).

        mean over all pairs (easy i, difficult j) of max(0, margin - (c_i - c_j))

    As printed, Eq. 5 and 6 ask for the reverse: with g = 1 if i is the more *difficult* one,
    max(0, -g (c_i - c_j) + margin) falls as the difficult example's confidence rises. The paper's
    text asks for c(easy) >= c(difficult) + margin, and this loss does so, too. Pairs of equal
    difficulty (g = 0) would add a constant without gradient and are left out.

    confidence: `[examples]`, the largest class probability (Eq. 4), an array or a tensor
    difficult:  bool `[examples]`
    margin:     in units of confidence, >= 0
    Returns a tensor of no dimension, differentiable with respect to confidence, or a float if
    confidence is no tensor; 0 if there is no pair.
    """
    if not isinstance(confidence, torch.Tensor):
        values = torch.from_numpy(np.array(confidence, dtype=np.float64, order="C"))
        return float(difficulty_margin_loss(values, difficult, margin))
    if not isinstance(difficult, torch.Tensor):
        difficult = torch.from_numpy(np.array(difficult, order="C"))
    difficult = difficult.to(confidence.device)
    if confidence.ndim != 1 or confidence.shape != difficult.shape:
        raise ValueError(
            "confidence and difficult must have one dimension and the same length, "
            f"not {tuple(confidence.shape)} and {tuple(difficult.shape)}"
        )
    if difficult.dtype != torch.bool:  # a check of booleans would wait for the GPU
        if not ((difficult == 0) | (difficult == 1)).all():
            raise ValueError("difficult must be boolean")
        difficult = difficult.bool()
    easy_confidence, difficult_confidence = confidence[~difficult], confidence[difficult]
    if not len(easy_confidence) or not len(difficult_confidence):
        return confidence.sum() * 0.0  # still part of the graph, so that backward() works
    gaps = easy_confidence[:, None] - difficult_confidence[None, :]
    return (margin - gaps).clamp(min=0).mean()
