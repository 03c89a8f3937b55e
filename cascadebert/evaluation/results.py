"""From an experiment to the inputs of the evaluation: stored predictions, and systems' roles."""

import os
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from cascadebert.data.predictions import Predictions
from cascadebert.data.task import DEV, Task
from cascadebert.encoders.loading import find_shape
from cascadebert.evaluation.choice import SystemPredictions
from cascadebert.evaluation.evidence import Roles
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.method import Run


def load_system(
    experiment: Experiment,
    predictions: str | os.PathLike,
    task: Task,
    key: str,
    splits: Sequence[str] | None = None,
    place: str = "",
) -> SystemPredictions:
    """A system's candidates on the development split and on other splits of a task.

    predictions: the experiment's folder predictions/
    splits:      default: the scored ones
    place:       subfolder of each run's folder; PROBES for the linear probes' logits
    """
    system = experiment.systems[key]
    wanted = {DEV, *(task.scored_splits if splits is None else splits)}

    def load(runs: Sequence[Run], replicate: int, split: str) -> Predictions:
        folders = [Path(predictions, task.name, run.name, f"seed{replicate}") for run in runs]
        files = [folder / place / f"{split}.npz" for folder in folders]
        return reduce(Predictions.followed_by, map(Predictions.load, files))

    return SystemPredictions(
        task=task.name,
        system=key,
        rule=system.rule,
        metric=task.metric,
        full_cost=find_shape(experiment.reference).num_hidden_layers,
        candidates={
            candidate.label: [
                {split: load(candidate.runs, replicate, split) for split in wanted}
                for replicate in experiment.replicates
            ]
            for candidate in system.candidates
        },
    )


def assign_roles(experiment: Experiment) -> Roles:
    """The systems that the paper's claims are about, as the configuration names them."""
    return Roles(
        titles={key: system.title for key, system in experiment.systems.items()},
        proposed=experiment.config["proposed"],
        rivals=experiment.rivals,
        ablations=experiment.ablations,
        extensions=experiment.extensions,
        series=experiment.config.get("layerwise", {}).get("series", {}),
    )
