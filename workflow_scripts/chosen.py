"""Systems as the figures take them: their predictions, and what the development split chose."""

from collections.abc import Iterable
from pathlib import Path

from cascadebert.data.task import Task
from cascadebert.evaluation.choice import Choice, SystemPredictions
from cascadebert.evaluation.results import load_system
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.predictions import Predictions


def load_choices(snakemake, task: Task) -> dict[str, Choice]:
    """By system, those of the rule's input `choices` that are of this task."""
    paths = [Path(path) for path in snakemake.input.choices]
    return {p.stem: Choice.load(p) for p in paths if p.parent.parent.name == task.name}


def load_systems(snakemake, task: Task, keys: Iterable[str]) -> dict[str, SystemPredictions]:
    """By system, from the rule's `params.predictions`."""
    experiment = Experiment(snakemake.config)
    return {key: load_system(experiment, snakemake.params.predictions, task, key) for key in keys}


def of_split(system: SystemPredictions, choice: Choice, split: str) -> list[Predictions]:
    """The chosen candidate's predictions, one a replicate."""
    return [replicate[split] for replicate in system.candidates[choice.candidate]]
