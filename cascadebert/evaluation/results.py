"""From an experiment to the inputs of the evaluation: stored predictions, and systems' roles."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from cascadebert.core.files import File
from cascadebert.data.predictions import Predictions
from cascadebert.data.task import DEV, Task
from cascadebert.evaluation.choice import SystemPredictions
from cascadebert.evaluation.evidence import Roles
from cascadebert.evaluation.temperature import scale_system
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.method import Run


def load_system(
    experiment: Experiment,
    predictions: File,
    task: Task,
    key: str,
    full_cost: float,
    splits: Sequence[str] | None = None,
) -> SystemPredictions:
    """As `load_unscaled`, with temperatures if the experiment asks for them. Costs are layers."""
    system = load_unscaled(experiment, predictions, task, key, full_cost, splits)
    return scale_system(system) if experiment.config["evaluation"]["temperature"] else system


def load_unscaled(
    experiment: Experiment,
    predictions: File,
    task: Task,
    key: str,
    full_cost: float,
    splits: Sequence[str] | None = None,
    place: str = "",
    times: File | None = None,
) -> SystemPredictions:
    """A system's candidates on the development split and on other splits of a task.

    predictions: the experiment's folder predictions/
    full_cost:   the number of layers of the reference model
    splits:      default: the scored ones
    place:       subfolder of each run's folder; PROBES for the linear probes' logits
    times:       the experiment's folder times/, if costs are measured times: the cost of an exit is
                 then its time, in units of a layer of the full model
    """
    system = experiment.systems[key]
    wanted = {DEV, *(task.scored_splits if splits is None else splits)}
    full = np.nan if times is None else _read_times(times, task, experiment.full_run)[-1]

    def load(runs: Sequence[Run], replicate: int, split: str) -> Predictions:
        folders = [Path(predictions, task.name, run.name, f"seed{replicate}") for run in runs]
        files = [folder / place / f"{split}.npz" for folder in folders]
        found = list(map(Predictions.load, files))
        if times is not None:
            costs = [_read_times(times, task, run) / (full / full_cost) for run in runs]
            found = [replace(each, costs=cost) for each, cost in zip(found, costs, strict=True)]
        return reduce(Predictions.followed_by, found)

    return SystemPredictions(
        task=task.name,
        system=key,
        rule=system.rule,
        metric=task.metric,
        full_cost=full_cost,
        candidates={
            candidate.name: [
                {split: load(candidate.runs, replicate, split) for split in wanted}
                for replicate in experiment.replicates
            ]
            for candidate in experiment.list_candidates(key, task.name)
        },
        full_milliseconds=full,
    )


def _read_times(times: File, task: Task, run: Run) -> np.ndarray:
    """The mean milliseconds of a text up to each exit of a run (`timing.time_exits`)."""
    measured = pd.read_csv(Path(times, task.name, f"{run.name}.csv"))
    weighted = measured["share"] * measured["milliseconds"]
    return weighted.groupby(measured["exit"]).sum().to_numpy()


def assign_roles(experiment: Experiment) -> Roles:
    """The systems that the paper's claims are about, as the configuration names them."""
    return Roles(
        titles={key: system.title for key, system in experiment.systems.items()},
        proposed=experiment.config["proposed"],
        rivals=experiment.rivals,
        ablations=experiment.ablations,
        extensions=experiment.extensions,
        truncations=experiment.truncations,
        series=experiment.config.get("layerwise", {}).get("series", {}),
    )
