"""Finds the cascade that a finished experiment trained and chose thresholds for."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.deployment.given import choose
from cascadebert.evaluation.choice import Choice
from cascadebert.experiment.configuration import Experiment, System
from cascadebert.systems.exits import CONFIDENCES
from cascadebert.systems.method import Run

AGAIN = "Give its snakemake command again"


@dataclass(frozen=True, eq=False)
class FinishedCascade:
    """A cascade of an experiment, as one seed trained it.

    runs, folders: of the members, from the smallest to the largest
    thresholds:    target speed-up -> one threshold for each member but the last
    temperatures:  by which the logits of each member are divided
    full_cost:     the cost of the reference model, in its layers
    """

    experiment: Experiment
    results: Path
    task: str
    system: System
    replicate: int
    runs: tuple[Run, ...]
    folders: list[Path]
    thresholds: dict[float, list[float]]
    temperatures: list[float]
    full_cost: float

    @property
    def max_length(self) -> int:
        return self.experiment.config["training"]["max_length"]


def find_cascade(
    results: File, task: str | None, system: str, replicate: int = 0
) -> FinishedCascade:
    """Finds a cascade in results/<experiment>.

    task: None for the only one of the experiment

    Raises UserError, with what there is to choose from, if there is no such cascade.
    """
    if not isinstance(results, (str, os.PathLike)):
        raise UserError(f"results is {results!r:.50}; give the folder results/<experiment>")
    results = Path(results)
    if not (results / "config.yaml").is_file():
        there = sorted(path.parent.name for path in results.parent.glob("*/config.yaml"))
        raise UserError(
            f"{results} has no config.yaml and is not the results of an experiment; those of "
            f"{results.parent} are: {', '.join(there) or 'none'}"
        )
    experiment = _read_experiment(results / "config.yaml")
    cascades = [key for key, of in experiment.systems.items() if of.rule is CONFIDENCES]
    only = experiment.tasks[0] if len(experiment.tasks) == 1 else None
    name = str(choose(results, "task", only if task is None else task, experiment.tasks))
    key = choose(results, "cascade", system, cascades)
    replicate = choose(results, "replicate", replicate, experiment.replicates)
    place = results / "evaluation" / name / "choices" / f"{key}.json"
    if not place.is_file():
        raise UserError(f"{place} is missing: the experiment is not finished. {AGAIN}")
    choice, chosen = Choice.load(place), experiment.systems[key]
    names = [candidate.name for candidate in chosen.candidates]
    if choice.candidate not in names or any(
        replicate >= len(knobs) for knobs in choice.knobs.values()
    ):
        raise UserError(
            f"{place} does not fit {results / 'config.yaml'}, which was changed since: the "
            f"experiment is not finished. {AGAIN}"
        )
    runs = chosen.candidate(choice.candidate).runs
    folders = [results / "models" / name / run.name / f"seed{replicate}" for run in runs]
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise UserError(
            f"{missing[0]} is missing: the experiment is not finished, or its models were "
            f"deleted. {AGAIN}"
        )
    thresholds = {
        target: np.atleast_1d(knobs[replicate]).tolist() for target, knobs in choice.knobs.items()
    }
    scaled = choice.temperatures
    return FinishedCascade(
        experiment=experiment,
        results=results,
        task=name,
        system=chosen,
        replicate=replicate,
        runs=runs,
        folders=folders,
        thresholds=thresholds,
        temperatures=scaled[replicate] if scaled else [1.0] * len(runs),
        full_cost=choice.full_cost,
    )


def _read_experiment(path: Path) -> Experiment:
    """Raises UserError if the file is damaged."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise UserError("it has no keys")
        return Experiment(config)
    except (UserError, OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"{path} is damaged or of another version ({error}). Give the experiment's snakemake "
            "command again, which writes it anew"
        ) from error
