"""The finished part of an experiment: the systems and tasks that tables and figures show."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cascadebert.core.errors import UserError
from cascadebert.core.text import join_words
from cascadebert.experiment.configuration import Experiment


@dataclass(frozen=True)
class Extent:
    """The part of an experiment that is finished, or that will be.

    runs:    task -> the systems' runs that have predictions for the task
    systems: task -> the systems whose runs are all among these runs
    missing: the other parts of the experiment, in sentences
    """

    runs: dict[str, list[str]]
    systems: dict[str, list[str]]
    missing: list[str]


def find_extent(experiment: Experiment) -> Extent:
    """Returns the whole experiment; with `only_finished`, the part in its results folder."""
    if not experiment.config["only_finished"]:
        return plan_all(experiment)
    results = Path(experiment.results)

    def is_finished(task: str, run: str, replicate: int) -> bool:
        folder = results / "predictions" / task / run / f"seed{replicate}"
        timed = [run, experiment.full_run.name] if experiment.in_seconds else []
        times = [results / "times" / task / f"{name}.csv" for name in timed]
        data = results / "data" / task
        return folder.is_dir() and data.is_dir() and all(path.is_file() for path in times)

    return keep_finished(experiment, is_finished)


def plan_all(experiment: Experiment) -> Extent:
    return Extent(
        dict.fromkeys(experiment.tasks, experiment.predicted),
        {task: list(experiment.systems) for task in experiment.tasks},
        [],
    )


def keep_finished(experiment: Experiment, is_finished: Callable[[str, str, int], bool]) -> Extent:
    """Returns the finished part of an experiment in which jobs failed or were never started.

    is_finished: tells whether there are predictions of a task, run and replicate and, if costs are
                 seconds, measured times

    Tables and figures compare with the proposed system and with the full model. A task on which one
    of the two was not run is therefore left out. Raises UserError if that leaves no task.
    """
    titles = {key: system.title for key, system in experiment.systems.items()}
    full = [experiment.full_model] if experiment.full_model else []
    needed = list(dict.fromkeys([experiment.config["proposed"], *full]))
    runs, systems, missing = {}, {}, []
    for task in experiment.tasks:
        there = [
            run
            for run in experiment.predicted
            if all(is_finished(task, run, replicate) for replicate in experiment.replicates)
        ]
        of_task = [
            key
            for key, system in experiment.systems.items()
            if {run.name for run in system.runs} <= set(there)
        ]
        absent = [key for key in titles if key not in of_task]
        if lacking := [titles[key] for key in needed if key in absent]:
            missing.append(f"The task {task} is left out: not run there: {join_words(lacking)}.")
            continue
        if absent:
            missing.append(f"Not run on {task}: {join_words([titles[key] for key in absent])}.")
        runs[task], systems[task] = there, of_task
    if not systems:
        timed = " and times" if experiment.in_seconds else ""
        raise UserError(
            f"only_finished: of no task of {experiment.name} are there predictions{timed} of "
            f"{join_words([titles[key] for key in needed])} with all {len(experiment.replicates)} "
            f"replicates in {experiment.results}, so that there is nothing to show; run the "
            "experiment without only_finished, or copy its results there from object storage"
        )
    return Extent(runs, systems, missing)
