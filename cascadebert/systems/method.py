"""The interface of a method: its exit rule, its options, and the runs that it trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

from cascadebert.encoders.pooling import FIRST, MEAN
from cascadebert.systems.exits import ExitRule

# An option that names an encoder.
ENCODER = {"type": "string", "format": "encoder", "description": "one of the section `encoders`"}
POOLING = {
    "enum": [FIRST, MEAN],
    "description": "the state that its own classifiers read: the first token's, as in the paper, "
    "or the mean of all tokens' states; default: the encoder's `pooling`",
}
# The options of most methods with exits of their own.
EXIT_OPTIONS = {"required": ["encoder"], "properties": {"encoder": ENCODER, "pooling": POOLING}}

Options = dict[str, Any]  # a system's entry in the configuration, less what all systems have
Pairs = tuple[tuple[str, Any], ...]  # (name, value)


@dataclass(frozen=True)
class Run:
    """One training, shared by all systems that need the same.

    method:   the module of `cascadebert.systems` that trains the run
    encoder:  the encoder's name in the configuration
    options:  (name, value) pairs that the method understands; `margin`, which every method does,
              adds difficulty-aware regularisation with that margin
    parents:  runs that are trained before; this run starts from them or learns from them
    frozen:   the first parent's model stays as it is, and only heads on it are trained
    continues: the first parent's model is fine-tuned once more
    training: (name, value) pairs that replace settings of the section `training`. A frozen run is
              trained with the settings of `head_training`, and has these for its name
    tuned:    (name, value) pairs of the section `tuning`, which replace settings as `training` does
    """

    method: str
    encoder: str
    options: Pairs = ()
    parents: tuple["Run", ...] = ()
    frozen: bool = False
    continues: bool = False
    training: Pairs = ()
    tuned: Pairs = ()

    @property
    def name(self) -> str:
        """Names the run's folder: `finetune-bert-12`, `finetune-bert-12-layers6`."""
        pairs = (*self.options, *self.training, *self.tuned)
        details = [f"{name}{value}" for name, value in pairs]
        return "-".join([self.method, self.encoder, *details])

    def option(self, name: str, default: Any = None) -> Any:
        return dict(self.options).get(name, default)

    @property
    def pooling(self) -> str:
        """What the run's own classifiers read: FIRST or MEAN of `encoders.pooling`."""
        return self.option("pooling", FIRST)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the section `training` that this run replaces, by name."""
        return dict((*self.training, *self.tuned))

    @property
    def labeller(self) -> "Run | None":
        """The run that is trained on other folds to label the difficulty of this run's examples.

        The same layers of the same encoder, fine-tuned alone: a run that learns from a teacher
        would need one teacher for every fold. Difficulty is not tuned, so that all candidates have
        the same labels. None without difficulty-aware regularisation.
        """
        if self.option("margin") is None:
            return None
        kept = tuple(option for option in self.options if option[0] in ("layers", "pooling"))
        return Run("finetune", self.encoder, kept, training=self.training)

    def trained_with(self, training: dict[str, Any]) -> "Run":
        """The run with these settings for every model that its own method fine-tunes.

        A run that fine-tunes takes the settings itself, and hands them to the run that it
        continues. A frozen run hands them to its parents of the same method; without such a parent
        it stays as it is.
        """
        parents = tuple(
            parent.trained_with(training)
            if self.continues or (self.frozen and parent.method == self.method)
            else parent
            for parent in self.parents
        )
        if self.frozen and parents == self.parents:
            return self
        return replace(self, parents=parents, training=tuple(sorted(training.items())))

    def pooled_as(self, encoders: Mapping[str, str]) -> "Run":
        """The run, and all that it starts from or learns from, with a pooling for each.

        Its own option, or else its encoder's; the first token's state is left out of options.

        encoders: encoder -> pooling, where it is not the first token's state
        """
        parents = tuple(parent.pooled_as(encoders) for parent in self.parents)
        pooling = self.option("pooling", encoders.get(self.encoder, FIRST))
        options = dict(self.options) | {"pooling": pooling}
        if pooling == FIRST:
            del options["pooling"]
        return replace(self, options=tuple(options.items()), parents=parents)

    def tuned_with(self, setting: Pairs) -> "Run":
        """The run, and all that it starts from or learns from, with a setting of `tuning`."""
        parents = tuple(parent.tuned_with(setting) for parent in self.parents)
        return replace(self, parents=parents, tuned=setting)


@dataclass(frozen=True)
class Candidate:
    """One of the alternatives among which the development split chooses.

    label:   tells the method's alternatives apart, such as by their margin; "" where there is one
    runs:    their exits follow one another
    setting: of the section `tuning`, as (name, value) pairs; () without this section
    """

    label: str
    runs: tuple[Run, ...]
    setting: Pairs = ()

    @property
    def name(self) -> str:
        """Tells the system's candidates apart: "0.3", or "0.3, epochs 4, learning_rate 0.0001"."""
        return ", ".join(filter(None, [self.label, describe_setting(self.setting)]))

    def tuned_with(self, setting: Pairs, training: dict[str, Any]) -> "Candidate":
        """The candidate with a setting for all its trainings.

        training: the section of the configuration. Its values are left out of the runs and of their
                  names, so that these runs are those of an experiment without `tuning`
        """
        differing = tuple((name, value) for name, value in setting if value != training[name])
        runs = tuple(run.tuned_with(differing) for run in self.runs)
        return replace(self, runs=runs, setting=setting)


class Method(Protocol):
    """A module of `cascadebert.systems`, named as the method.

    EXIT_RULE: picks an exit; one of `exits`, or a rule of the method's own
    OPTIONS:   JSON schema of the options that an entry in the configuration may set
    """

    EXIT_RULE: ExitRule
    OPTIONS: dict[str, Any]

    def candidates(self, options: Options, margins: Sequence[float]) -> list[Candidate]:
        """All that has to be trained; several candidates leave a choice.

        margins: of difficulty-aware regularisation, for methods that have it
        """
        ...


def combine_settings(grid: dict[str, list[Any]]) -> list[Pairs]:
    """All settings of the section `tuning`; one, (), where it is empty."""
    names = sorted(grid)
    return [tuple(zip(names, of, strict=True)) for of in product(*(grid[name] for name in names))]


def describe_setting(setting: Pairs) -> str:
    """In words: "epochs 4, learning_rate 0.0001"."""
    return ", ".join(f"{name} {value}" for name, value in setting)


def run_options(options: Options, *without: str) -> Pairs:
    """The options of a `Run`: those of the entry, sorted by name.

    without: names that are left out beside `encoder`
    """
    left_out = {"encoder", *without}
    return tuple(sorted((name, value) for name, value in options.items() if name not in left_out))
