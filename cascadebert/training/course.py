"""How far a training has come: its steps, its scores, and what a checkpoint keeps of both."""

import math
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch

from cascadebert.core.errors import UserError
from cascadebert.core.progress import Progress
from cascadebert.training.checkpoint import (
    Checkpoint,
    Tensors,
    optimizer_tensors,
    random_states,
    restore_optimizer,
    restore_random_states,
)

CHECK_EVERY = 20  # steps between checks of the loss, for each of which the CPU waits for the GPU

Score = TypeVar("Score")


@dataclass
class Course(Generic[Score]):
    """A training on its way, of one model or of several at once.

    If there is a checkpoint with a state, all of it is put back where it was.

    name:       of the training, in the log
    epochs:     how many there are
    in_epoch:   steps in each of them
    weights:    all that the training changes, by name; the optimizer changes it in place
    where:      the device of the weights
    checkpoint: where the state is kept meanwhile
    best:       the weights after the best of the epochs that are done
    scores:     on the dev examples after each of these epochs, as JSON can say it
    """

    name: str
    epochs: int
    in_epoch: int
    weights: Tensors
    optimizer: torch.optim.Optimizer
    where: torch.device
    checkpoint: Checkpoint | None = None
    best: Tensors = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)

    def __post_init__(self):
        self.steps = self.epochs * self.in_epoch
        self._progress = Progress(self.name, self.steps, self._restore())
        self._losses: list[torch.Tensor] = []  # of the steps since the last check
        self._loss = ""  # of the last step whose loss was checked, as the log says it

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self._progress.done

    def done_in(self, epoch: int) -> int:
        """How many steps of an epoch, from 0 on, are done."""
        return min(max(0, self.done - epoch * self.in_epoch), self.in_epoch)

    def end_step(self, loss: torch.Tensor) -> None:
        """Counts a step, checks the losses from time to time, and saves the state if it is due.

        loss: of the step, a tensor of no dimension
        Raises UserError if a loss is not finite; a state after such a step is not saved.
        """
        self._losses.append(loss.detach())
        epoch, done = self.done // self.in_epoch + 1, self.done + 1
        saves = self.checkpoint is not None and self.checkpoint.due()
        if saves or len(self._losses) == CHECK_EVERY or done % self.in_epoch == 0:
            self._check_losses(done)
        self._progress.step(f"epoch {epoch}/{self.epochs}{self._loss}")
        if self.checkpoint and saves:
            self._save(self.checkpoint)

    def _check_losses(self, done: int) -> None:
        """Raises UserError if one of the losses up to step `done` is not finite."""
        values = torch.stack(self._losses).tolist()
        for step, value in enumerate(values, start=done - len(values) + 1):
            if not math.isfinite(value):
                raise UserError(
                    f"{self.name}: the loss is {value} at step {step} of {self.steps}; "
                    "the learning rate is probably too high (training.learning_rate)"
                )
        self._losses.clear()
        self._loss = f" loss {values[-1]:.3f}"

    def _save(self, checkpoint: Checkpoint) -> None:
        parts = {
            "model": self.weights,
            "optimizer": optimizer_tensors(self.optimizer),
            "random": random_states(self.where),
            "best": self.best,
        }
        checkpoint.save(parts, {"step": self.done, "scores": self.scores})

    def _restore(self) -> int:
        """Goes back to the stored state; returns how many steps were done there, 0 without one."""
        stored = self.checkpoint.load() if self.checkpoint else None
        if stored is None:
            return 0
        parts, about = stored
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(parts["model"][name])
        restore_optimizer(self.optimizer, parts["optimizer"])
        restore_random_states(parts["random"], self.where)
        self.scores, self.best = about["scores"], parts["best"]
        return about["step"]
