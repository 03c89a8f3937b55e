"""Systems and their choices, as the scripts of tables and figures read them."""

from pathlib import Path

from cascadebert.data.task import Task
from cascadebert.evaluation.choice import Choice, ChosenSystem
from cascadebert.evaluation.results import load_system
from cascadebert.experiment.configuration import Experiment


def load_choices(snakemake, task: str) -> dict[str, Choice]:
    """System -> choice, for this task's files among the rule's input `choices`."""
    paths = [Path(path) for path in snakemake.input.choices]
    return {p.stem: Choice.load(p) for p in paths if p.parent.parent.name == task}


def load_chosen(snakemake, task: Task) -> dict[str, ChosenSystem]:
    """The systems of `load_choices` with their predictions, from `params.predictions`."""
    experiment, folder = Experiment(snakemake.config), snakemake.params.predictions
    return {
        key: ChosenSystem(load_system(experiment, folder, task, key, choice.full_cost), choice)
        for key, choice in load_choices(snakemake, task.name).items()
    }
