"""An experiment: one resolved configuration, and the systems and trainings that follow from it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from cascadebert.core.errors import Mistakes, UserError
from cascadebert.core.files import File
from cascadebert.core.text import join_words
from cascadebert.data.load import list_labels
from cascadebert.encoders.shape import read_shape
from cascadebert.experiment.encoders import Encoders
from cascadebert.experiment.validation import check_configuration, refuse_repeated_keys
from cascadebert.systems import load_method
from cascadebert.systems.exits import ExitRule
from cascadebert.systems.method import Candidate, Run, combine_settings

# Sections of an override that take the place of the default's sections.
REPLACED = (
    "tasks",
    "encoders",
    "systems",
    "tables",
    "layerwise",
    "representations",
    "submission",
)

# Keys of a system that name the system which the tables or claims compare it with.
RELATIONS = ("ablation_of", "extends", "truncation_of")

EQUAL_PARTS = {"pkd", "theseus"}  # methods whose `layers` have to divide the encoder's
WIDEST_OF_TWO_CLASSES = 0.5  # the largest difference of two confidences between 0.5 and 1


def resolve(default: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Returns the default configuration with an override laid over it.

    Sections of the override that are in REPLACED take the place of the default's. The others are
    merged with the default's key by key.
    """
    merged = dict(default)
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict) and key not in REPLACED:
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged


def load_experiment(
    default: File, override: dict[str, Any], files: Sequence[File] = ()
) -> "Experiment":
    """Returns the experiment of the default configuration with an override laid over it.

    files: the files that the override was read from; they are searched for repeated keys
    """
    for path in (default, *files):
        refuse_repeated_keys(path)
    config = resolve(yaml.safe_load(Path(default).read_text(encoding="utf-8")), override)
    # Snakemake passes `--config only_finished=true` on as text.
    with suppress(yaml.YAMLError):  # other text is refused as it is
        config["only_finished"] = yaml.safe_load(str(config["only_finished"]))
    return Experiment(config, override)


@dataclass(frozen=True)
class System:
    """One row of the tables: candidates with their trainings, and the rule that picks an exit.

    candidates: the alternatives among which the development split chooses
    """

    key: str
    title: str
    rule: ExitRule
    candidates: tuple[Candidate, ...]
    ablation_of: str | None
    extends: str | None
    truncation_of: str | None
    published: str | None

    @property
    def runs(self) -> list[Run]:
        """The runs of all candidates, each of them once."""
        return list(dict.fromkeys(run for each in self.candidates for run in each.runs))

    def candidate(self, name: str) -> Candidate:
        [found] = (candidate for candidate in self.candidates if candidate.name == name)
        return found

    @property
    def pooling(self) -> str:
        """The states that the first run's classifiers read, see `encoders.pooling`."""
        return self.runs[0].pooling


class Experiment:
    """A checked configuration, and the systems and runs that follow from it.

    override: what the user gave, which lies over the default in `config`; None where the whole
              configuration is the user's

    Raises UserError with the path of each wrong key and what is allowed there.
    """

    def __init__(self, config: dict[str, Any], override: dict[str, Any] | None = None):
        check_configuration(config, override)
        self.config = config
        self.has_default_encoders = override is not None and "encoders" not in override
        self.name: str = config["experiment"]
        self.results = f"results/{self.name}"
        self.tasks: list[str] = list(config["tasks"])
        self.encoders = Encoders(config, self.results)
        self.reference = self.encoders.locate(config["reference"])
        self.in_seconds = config["evaluation"]["cost"] == "seconds"  # what costs are; else layers
        self.replicates = range(config["replicates"])
        self.folds = range(config["difficulty"]["folds"])
        self.seeds = range(config["difficulty"]["seeds"])
        self.margins = self._list_distinct_margins(self.tasks)
        self.settings = combine_settings(config["tuning"])
        mistakes = Mistakes()
        self.systems: dict[str, System] = {}
        for key, entry in config["systems"].items():
            with mistakes.collected():
                self.systems[key] = self._system(key, dict(entry))
        # Name -> run: all trainings for a task, and the trainings of models that label difficulty.
        self.runs = self._all_runs(mistakes)
        mistakes.raise_all()
        self.labellers = self._all_labellers()

    def _system(self, key: str, entry: dict[str, Any]) -> System:
        method, title = entry.pop("method"), entry.pop("title")
        related = {name: entry.pop(name, None) for name in (*RELATIONS, "published")}
        training = entry.pop("training", {})
        module = load_method(method)

        def complete(run: Run) -> Run:
            run = run.pooled_as(self.encoders.pooling)
            return self._trained_with(key, run, training) if training else run

        candidates = [
            replace(candidate, runs=tuple(map(complete, candidate.runs)))
            for candidate in module.candidates(entry, self.margins)
        ]
        if twice := sorted(training.keys() & self.config["tuning"].keys()):
            raise UserError(
                f"configuration, systems.{key}.training: {join_words(twice)} is in `tuning`, which "
                "gives every system the same values to choose from; delete it here or there"
            )
        tuned = tuple(
            candidate.tuned_with(setting, self.config["training"])
            for setting in self.settings
            for candidate in candidates
        )
        return System(key, title, module.EXIT_RULE, tuned, **related)

    def list_candidates(self, key: str, task: str) -> list[Candidate]:
        """Returns the candidates of a system that are different trainings on this task."""
        distinct = (None, *self._list_distinct_margins([task]))
        return [
            candidate
            for candidate in self.systems[key].candidates
            if all(run.option("margin") in distinct for run in candidate.runs)
        ]

    def _list_distinct_margins(self, tasks: Iterable[str]) -> list[float]:
        """Returns the margins that give different trainings on one of these tasks.

        With two classes, confidence lies between 0.5 and 1. Every pair of examples then falls short
        of a margin of 0.5 or more, so that all such margins give the same gradient.
        """
        margins = self.config["difficulty"]["margins"]
        if any(len(list_labels(self.config["tasks"][task])) != 2 for task in tasks):
            return margins
        wide = [margin for margin in margins if margin >= WIDEST_OF_TWO_CLASSES]
        return [margin for margin in margins if margin not in wide[1:]]

    def _trained_with(self, key: str, run: Run, training: dict[str, Any]) -> Run:
        if run.trained_with(training) == run:
            raise UserError(
                f"configuration, systems.{key}.training: {run.method} fine-tunes no model of its "
                f"own but trains heads on {run.parents[0].name}; delete `training` here"
            )
        # A run with the settings of all others is the same run, under the same name.
        of_all = self.config["training"]
        return run.trained_with({k: v for k, v in training.items() if v != of_all.get(k)})

    def _all_runs(self, mistakes: Mistakes) -> dict[str, Run]:
        found: dict[str, Run] = {}

        def add(run: Run) -> None:
            for parent in run.parents:
                add(parent)
                if self.encoders.tokenizer(parent.encoder) != self.encoders.tokenizer(run.encoder):
                    raise UserError(
                        f"configuration, encoders: {run.name} starts from {parent.name} and reads "
                        f"the same tokens, but {run.encoder} and {parent.encoder} have tokenizers "
                        f"of their own; if their vocabularies are the same, set `tokenizer: "
                        f"{self.encoders.tokenizer(parent.encoder)}` for {run.encoder}"
                    )
            self._check_layers(run)
            _add(found, run)

        for entry in self.systems.values():
            for run in entry.runs:
                with mistakes.collected():
                    add(run)
        return found

    @property
    def full_run(self) -> Run:
        """The fine-tuned reference model, whose speed-up is 1; a system may have it or not.

        With `tuning`, the one of the first setting: all settings give the same costs.
        """
        run = Run("finetune", self.config["reference"]).pooled_as(self.encoders.pooling)
        plain = Candidate(label="", runs=(run,))
        return plain.tuned_with(self.settings[0], self.config["training"]).runs[0]

    @cached_property
    def full_model(self) -> str | None:
        """The first system that is `full_run`, else the first that differs in its training alone.

        None if there is neither.
        """

        def forget_training(run: Run) -> Run:
            return replace(run, training=(), tuned=())

        for see in (lambda run: run, forget_training):
            full = [see(self.full_run)]
            for key, system in self.systems.items():
                if any(list(map(see, each.runs)) == full for each in system.candidates):
                    return key
        return None

    def _all_labellers(self) -> dict[str, Run]:
        found: dict[str, Run] = {}
        for run in self.runs.values():
            if run.labeller:
                _add(found, run.labeller)
        return found

    def _check_layers(self, run: Run) -> None:
        """Raises UserError if a local encoder has too few layers, or cannot be cut evenly.

        An encoder that is on the hub or not yet made is checked by the job that loads it.
        """
        layers, folder = run.option("layers", 1), self.encoders.locate(run.encoder)
        shape = read_shape(folder)
        present = shape.num_hidden_layers if shape else layers
        if layers > present:
            raise UserError(
                f"configuration, systems: {run.name} has the first {layers} layers of "
                f"{run.encoder}, but {folder} has {present}; ask for fewer `layers`"
            )
        if run.method in EQUAL_PARTS and present % layers:
            raise UserError(
                f"configuration, systems: {run.name} cuts the {present} layers of {folder} into "
                f"{layers} parts of the same size; `layers` has to divide {present}"
            )

    def runs_of(self, systems: Iterable[str]) -> list[Run]:
        """Returns the runs of all candidates of these systems, each once."""
        return list(dict.fromkeys(run for key in systems for run in self.systems[key].runs))

    @cached_property
    def predicted(self) -> list[str]:
        """The runs that systems consist of. Other runs are only parents: a start or a teacher."""
        inside = {run.name for run in self.runs_of(self.systems)}
        return [name for name in self.runs if name in inside]

    @cached_property
    def ablations(self) -> dict[str, str]:
        """Systems with DAR -> the same without: {"cascadebert": "cascadebert-without-dar"}."""
        return {s.ablation_of: s.key for s in self.systems.values() if s.ablation_of}

    @cached_property
    def extensions(self) -> dict[str, str]:
        """Cascades -> the cascade with a model less: {"cascadebert-2-6-12": "cascadebert"}."""
        return {s.key: s.extends for s in self.systems.values() if s.extends}

    @cached_property
    def truncations(self) -> dict[str, str]:
        """Cascades that begin with first layers -> the same with a complete small model."""
        return {s.key: s.truncation_of for s in self.systems.values() if s.truncation_of}

    @cached_property
    def rivals(self) -> list[str]:
        """Systems that exit early inside the last model of the proposed cascade."""
        runs = {key: system.candidates[0].runs for key, system in self.systems.items()}
        backbone = runs[self.config["proposed"]][-1].encoder
        return [
            key
            for key, system in self.systems.items()
            if system.rule.knob and [run.encoder for run in runs[key]] == [backbone]
        ]

    @cached_property
    def reference_series(self) -> list[str]:
        """Systems that are the reference encoder, or its first layers, fine-tuned alone.

        Their classifiers read what that of the full model reads.
        """
        alike = (self.config["reference"], (), self.full_run.pooling)
        return [
            key
            for key, system in self.systems.items()
            if not system.rule.knob
            and {(run.encoder, run.parents, run.pooling) for run in system.runs} == {alike}
        ]

    @cached_property
    def comparisons(self) -> list[tuple[str, str]]:
        """The pairs of systems to compare: `proposed` with all others, and what is related."""
        proposed = self.config["proposed"]
        of_proposed = [(proposed, key) for key in self.systems if key != proposed]
        truncations = [(complete, cut) for cut, complete in self.truncations.items()]
        pairs = [*of_proposed, *self.ablations.items(), *self.extensions.items(), *truncations]
        return list(dict.fromkeys(pairs))


def _add(found: dict[str, Run], run: Run) -> None:
    """Adds a run. Raises UserError if another run has its name: names are those of folders."""
    if found.setdefault(run.name, run) != run:
        raise UserError(
            f"configuration, encoders: {run.name} would be the name of two trainings, of encoder "
            f"{found[run.name].encoder} and of encoder {run.encoder}; rename one of the encoders"
        )
