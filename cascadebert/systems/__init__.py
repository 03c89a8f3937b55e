"""The systems that are compared, one file each.

A system is a list of exits with a cost, and a rule that picks one. Its module says

    EXIT_RULE      a name of `cascadebert.evaluation.exits.RULES`
    OPTIONS        JSON schema of what its entry in the configuration may set; names of encoders
                   have `format: encoder`
    candidates(options, margins)
                   what has to be trained: by label, the alternatives among which the development
                   split chooses (one, if there is nothing to choose), each a list of `Run`s whose
                   exits follow one another
    Model          a torch module, if runs name this module as their method:
                   Model(run, encoder, labels, parents) is ready to be trained, from the folders
                   of the encoder and of the run's trained parents; a `heads.FrozenExits` where the
                   run is frozen;
                   .forward(inputs) gives logits `[batch, exits, labels]`, float32;
                   .depths is the number of layers executed up to each exit;
                   .pooling is what a linear probe of these layers reads, see `heads.pool`;
                   .objective(inputs, gold, step, steps) gives the logits and the loss that
                   training minimises in that step, from 0 to steps - 1;
                   .save(folder) and .load(folder) write and read what was trained;
                   .added_exits(), if there is one, lists the parts that the system adds to the
                   encoder, which learn at a higher rate (`training.exit_rate`)

and nothing else in the project knows its name.
"""

import importlib
import pkgutil
from dataclasses import dataclass, replace
from types import ModuleType


@dataclass(frozen=True)
class Run:
    """One training, shared by all systems that need the same.

    method:   the module of `cascadebert.systems` that trains it
    encoder:  the encoder's name in the configuration
    options:  (name, value) pairs that the method understands; `margin`, which every method does,
              adds difficulty-aware regularisation with that margin
    parents:  runs that are trained before and that this one starts from or learns from
    frozen:   the first parent's model stays as it is, and only heads on it are trained
    training: (name, value) pairs that replace settings of the section `training`; a frozen run has
              settings of its own (`head_training`), and carries those of its parents for its name
    """

    method: str
    encoder: str
    options: tuple[tuple[str, object], ...] = ()
    parents: tuple["Run", ...] = ()
    frozen: bool = False
    training: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        """Names the run's folder: `finetune-bert-12`, `finetune-bert-12-layers6`."""
        details = [f"{name}{value}" for name, value in (*self.options, *self.training)]
        return "-".join([self.method, self.encoder, *details])

    def option(self, name: str, default=None):
        return dict(self.options).get(name, default)

    @property
    def labeller(self) -> "Run | None":
        """What is trained on other folds to label the difficulty of this run's examples.

        The same layers of the same encoder, fine-tuned alone: a run that learns from a teacher
        would need one for every fold. None without difficulty-aware regularisation.
        """
        if self.option("margin") is None:
            return None
        layers = tuple(option for option in self.options if option[0] == "layers")
        return Run("finetune", self.encoder, layers, training=self.training)

    def trained_with(self, training: dict[str, object]) -> "Run":
        """The run with these settings for whatever it fine-tunes itself.

        That is the run; of a frozen one, its parents of the same method. The same run is returned
        where there is nothing of the kind.
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


def names() -> list[str]:
    """All systems there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


def system(name: str) -> ModuleType:
    """The module of a system."""
    return importlib.import_module(f"{__name__}.{name}")
