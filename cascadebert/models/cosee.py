"""COSEE (He et al., AAAI 2025): an exit learns most from the examples that would leave there.

The definitions are those of the authors' public code (He-Jianing/COSEE).
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from cascadebert.core.files import File
from cascadebert.models import pabee
from cascadebert.models.base import Inputs
from cascadebert.systems.method import Run

# Of the authors' training script.
THRESHOLDS = 5  # drawn in each step
BETA = 10  # how far, in the end, the weight of an example is drawn to the exit that it takes
ALPHA = 0.1  # weight of the calibration of energies
EPSILON = 0.3  # by which the energy of wrong answers should lie above that of right ones


def compute_energy(logits: torch.Tensor) -> torch.Tensor:
    """The normalised energy 1 / (1 + sum exp z) of logits `[..., labels]`, in (0, 1)."""
    return torch.sigmoid(-logits.logsumexp(dim=-1))


def find_exits(energies: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """The exit that each example takes at each threshold: the first below it, else the last.

    energies:   of all exits but the last, `[batch, exits - 1]`
    thresholds: `[thresholds]`
    Returns int64 `[thresholds, batch]`.
    """
    leaves = energies < thresholds[:, None, None]
    last = leaves.new_ones(()).expand(*leaves.shape[:-1], 1)
    return torch.cat([leaves, last], dim=-1).int().argmax(dim=-1)


def weigh_exits(exits: int, sharpness: float) -> torch.Tensor:
    """The weights of all exits' losses, by the exit that an example takes: `[exits, exits]`.

        w(i, j) = softmax over j of -sharpness |i - j|

    All weights are 1 / exits at a sharpness of 0.
    """
    places = torch.arange(exits)
    distance = (places[:, None] - places).abs()
    return (-sharpness * distance).softmax(dim=-1)


def calibration_loss(energies: torch.Tensor, correct: torch.Tensor) -> torch.Tensor:
    """Asks that the energy of wrong answers lie above that of right ones, on average.

        mean over exits of max(0, mean energy of right - mean energy of wrong + EPSILON)

    energies: `[batch, exits]`
    correct:  bool `[batch, exits]`
    Exits with right answers alone or wrong ones alone are left out; 0 if that leaves none.
    """
    right = correct.sum(dim=0)
    wrong = len(correct) - right
    both = (right > 0) & (wrong > 0)
    if not both.any():
        return energies.sum() * 0.0  # still part of the graph, so that backward() works
    of_right = (energies * correct).sum(dim=0)[both] / right[both]
    of_wrong = (energies * ~correct).sum(dim=0)[both] / wrong[both]
    return (of_right - of_wrong + EPSILON).clamp(min=0).mean()


class Model(pabee.Model):
    """PABEE's model: a classifier after every layer, behind one pooler that all layers share.

    Thresholds are drawn between the lowest and the highest energy of the epoch before, in the
    first epoch between 0 and 1. A checkpoint keeps both as buffers.
    """

    fewest_exits = 2  # its weights and energies are those of the exits before the last
    bounds: torch.Tensor
    seen: torch.Tensor

    def __init__(self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]):
        super().__init__(run, encoder, labels, parents)
        self.register_buffer("bounds", torch.tensor([0.0, 1.0]))
        self.register_buffer("seen", torch.tensor([1.0, 0.0]))  # in this epoch: nothing yet

    def train(self, mode: bool = True) -> "Model":
        """An epoch ends where the training loop scores the model, which it does in eval mode."""
        if self.training and not mode and self.seen[0] <= self.seen[1]:
            self.bounds.copy_(self.seen)
            self.seen.copy_(self.seen.new_tensor([1.0, 0.0]))
        super().train(mode)
        return self

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The exits' cross-entropies, weighted by where examples leave, and the calibration."""
        logits = self(inputs)
        inside = logits[:, :-1]
        energies = compute_energy(inside)
        low, high = energies.detach().aminmax()
        self.seen.copy_(torch.stack([self.seen[0].minimum(low), self.seen[1].maximum(high)]))

        least, most = self.bounds
        thresholds = least + (most - least) * torch.rand(THRESHOLDS).to(logits.device)
        exits = logits.shape[1]
        weights = weigh_exits(exits, BETA * step / steps).to(logits.device)
        weights = weights[find_exits(energies.detach(), thresholds)]  # [thresholds, batch, exits]
        every = gold[:, None].expand(-1, exits)
        losses = cross_entropy(logits.transpose(1, 2), every, reduction="none")
        loss = (weights * losses).sum(dim=-1).mean()

        correct = inside.argmax(dim=-1) == gold[:, None]
        return logits, loss + ALPHA * calibration_loss(energies, correct)
