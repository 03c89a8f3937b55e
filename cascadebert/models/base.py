"""The interface of a model with exits."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from cascadebert.core.files import File
from cascadebert.encoders.weights import load_weights, save_weights

Inputs = dict[str, torch.Tensor]  # a batch as the encoder reads it


class ExitModel(nn.Module, ABC):
    """A model with one or more exits.

    `Model(run, encoder, labels, parents)` in a method's file makes one, ready to be trained.
    encoder, parents: the folders of the encoder and of the run's trained parents. Where the run is
    frozen, the model is a `heads.FrozenExits`.

    depths:  the number of layers executed up to each exit
    pooling: what its classifiers read, see `pooling.pool`; `exit_pooling` tells of one exit
    fewest_exits: the smallest number of exits that the method can train
    """

    depths: list[int]
    pooling: str
    fewest_exits = 1

    @abstractmethod
    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Logits of all exits, float32 `[batch, exits, labels]`."""

    def exit_pooling(self, exit: int) -> str:
        """What the classifier of an exit, from 0 on, reads: FIRST or MEAN of `encoders.pooling`.

        MEAN for one that reads all tokens.
        """
        return self.pooling

    @abstractmethod
    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits, and the loss that training minimises in this step.

        gold: labels, int64 `[batch]`
        step: from 0 to steps - 1
        """

    def added_exits(self) -> Sequence[nn.Module]:
        """The parts that the method adds to the encoder; `training.exit_rate` is theirs."""
        return ()

    def save(self, folder: File) -> None:
        """Writes the trained parts: by default all weights."""
        save_weights(self, folder)

    def load(self, folder: File) -> None:
        """Reads the trained parts from a folder that `save` wrote."""
        load_weights(self, folder)


class EarlyExitModel(ExitModel):
    """A model that an input may leave before the last layer, see `deployment.exits`."""

    @abstractmethod
    def exit_logits(
        self, exit: int, states: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """Logits `[batch, labels]` of one exit.

        exit:           from 0 on
        states:         after the exit's layer, `[batch, tokens, width]`
        attention_mask: `[batch, tokens]`, 0 for padding
        """

    @abstractmethod
    def run_encoder(self, inputs: Inputs) -> torch.Tensor | None:
        """Runs all layers; logits `[batch, labels]` of the last exit, or None for `exit_logits`."""
