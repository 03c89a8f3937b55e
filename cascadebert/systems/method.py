"""The interface of a method: the runs to train, and the model that every training ends in."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import nn

from cascadebert.core.files import File
from cascadebert.encoders.weights import load_weights, save_weights
from cascadebert.systems.shared.exits import ExitRule

ENCODER = {"type": "string", "format": "encoder"}  # an option that names an encoder

Options = dict[str, Any]  # a system's entry in the configuration, less what all systems have
Inputs = dict[str, torch.Tensor]  # a batch as the encoder reads it


@dataclass(frozen=True)
class Run:
    """One training, shared by all systems that need the same.

    method:   the module of `cascadebert.systems` that trains the run
    encoder:  the encoder's name in the configuration
    options:  (name, value) pairs that the method understands; `margin`, which every method does,
              adds difficulty-aware regularisation with that margin
    parents:  runs that are trained before; this run starts from them or learns from them
    frozen:   the first parent's model stays as it is, and only heads on it are trained
    training: (name, value) pairs that replace settings of the section `training`; a frozen run has
              settings of its own (`head_training`), and carries those of its parents for its name
    """

    method: str
    encoder: str
    options: tuple[tuple[str, Any], ...] = ()
    parents: tuple["Run", ...] = ()
    frozen: bool = False
    training: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Names the run's folder: `finetune-bert-12`, `finetune-bert-12-layers6`."""
        details = [f"{name}{value}" for name, value in (*self.options, *self.training)]
        return "-".join([self.method, self.encoder, *details])

    def option(self, name: str, default: Any = None) -> Any:
        return dict(self.options).get(name, default)

    @property
    def labeller(self) -> "Run | None":
        """The run that is trained on other folds to label the difficulty of this run's examples.

        The same layers of the same encoder, fine-tuned alone: a run that learns from a teacher
        would need one teacher for every fold. None without difficulty-aware regularisation.
        """
        if self.option("margin") is None:
            return None
        layers = tuple(option for option in self.options if option[0] == "layers")
        return Run("finetune", self.encoder, layers, training=self.training)

    def trained_with(self, training: dict[str, Any]) -> "Run":
        """The run with these settings for every model that its own method fine-tunes.

        A run that fine-tunes takes the settings itself. A frozen run hands them to its parents of
        the same method; without such a parent it stays as it is.
        """
        settings = tuple(sorted(training.items()))
        if not self.frozen:
            return replace(self, training=settings)
        parents = tuple(
            parent.trained_with(training) if parent.method == self.method else parent
            for parent in self.parents
        )
        if parents == self.parents:
            return self
        return replace(self, parents=parents, training=settings)


@dataclass(frozen=True)
class Candidate:
    """One of the alternatives among which the development split chooses.

    label: tells the alternatives apart, such as by their margin; "" where there is only one
    runs:  their exits follow one another
    """

    label: str
    runs: tuple[Run, ...]


class ExitModel(nn.Module, ABC):
    """A model with one or more exits.

    depths:  the number of layers executed up to each exit
    pooling: what a linear probe of these layers reads, see `heads.pool`
    """

    depths: list[int]
    pooling: str

    @abstractmethod
    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Logits of all exits, float32 `[batch, exits, labels]`."""

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


class BuildModel(Protocol):
    """Makes a run's model, ready to be trained; a `heads.FrozenExits` where the run is frozen."""

    def __call__(
        self, run: Run, encoder: File, labels: list[str], parents: Sequence[File]
    ) -> ExitModel:
        """encoder, parents: the folders of the encoder and of the run's trained parents"""
        ...


class Method(Protocol):
    """A module of `cascadebert.systems`, named as the method.

    EXIT_RULE: picks an exit; one of `exits`, or a rule of the method's own
    OPTIONS:   JSON schema of the options that an entry in the configuration may set
    Model:     makes the models of the runs that name this method; a method whose runs are all
               other methods' (`cascade`) has none
    """

    EXIT_RULE: ExitRule
    OPTIONS: dict[str, Any]
    Model: BuildModel

    def candidates(self, options: Options, margins: Sequence[float]) -> list[Candidate]:
        """All that has to be trained; several candidates leave a choice.

        margins: of difficulty-aware regularisation, for methods that have it
        """
        ...
