"""All frames of the evaluation of a task, from its stored predictions."""

from collections.abc import Sequence

import pandas as pd

from cascadebert.core.files import File
from cascadebert.data.predictions import PROBES
from cascadebert.data.task import Task
from cascadebert.evaluation.choice import Choice, ChosenSystem, choose
from cascadebert.evaluation.classes import measure_classes
from cascadebert.evaluation.comparison import compare_exits, compare_systems
from cascadebert.evaluation.curve_scores import measure_curves
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.measures import compare_with_probes, mark_undertrained, measure_exits
from cascadebert.evaluation.points import (
    add_majority,
    describe_not_run,
    measure_operating_points,
    trace_curve,
)
from cascadebert.evaluation.promises import measure_promises
from cascadebert.evaluation.results import load_unscaled
from cascadebert.evaluation.temperature import add_unscaled_ece, compare_calibration, scale_system
from cascadebert.experiment.configuration import Experiment


def evaluate_task(
    experiment: Experiment,
    task: Task,
    systems: Sequence[str],
    layers: int,
    predictions: File,
    times: File | None = None,
) -> tuple[dict[str, Choice], dict[str, pd.DataFrame]]:
    """System -> choice, and name -> frame; the rule `evaluate` has a file for each.

    systems:            those with predictions on the task
    layers:             of the reference model
    predictions, times: the experiment's folders, see `results.load_unscaled`
    """
    asked, splits = experiment.config["evaluation"], task.scored_splits
    resampling = Resampling(experiment.config["seed"], asked["resamples"])
    chosen, unscaled, probes = {}, {}, {}
    for key in systems:
        as_it_is, of_probes = (
            load_unscaled(experiment, predictions, task, key, layers, place=place, times=times)
            for place in ("", PROBES)
        )
        system = scale_system(as_it_is) if asked["temperature"] else as_it_is
        choice = choose(system, asked["targets"])
        chosen[key], probes[key] = ChosenSystem(system, choice), ChosenSystem(of_probes, choice)
        unscaled[key] = ChosenSystem(as_it_is, choice)

    points_of = {
        key: measure_operating_points(each, splits, resampling, asked["tolerance"])
        for key, each in chosen.items()
    }
    points = pd.concat(points_of.values())
    absent = [
        describe_not_run(
            task,
            system=key,
            rule=system.rule,
            targets=asked["targets"],
            replicates=len(experiment.replicates),
        )
        for key, system in experiment.systems.items()
        if key not in chosen
    ]
    gaps = pd.concat(compare_with_probes(chosen[key], probes[key], splits) for key in chosen)
    pairs = [pair for pair in experiment.comparisons if set(pair) <= set(chosen)]
    ablations = dict(pair for pair in pairs if pair in experiment.ablations.items())
    frames = {
        "operating_points": add_majority(
            mark_undertrained(pd.concat([points, *absent]), gaps), task
        ),
        "probes": gaps,
        "curves": pd.concat(trace_curve(each, splits, resampling) for each in chosen.values()),
        "curve_scores": measure_curves(chosen, experiment.reference_series, splits, resampling),
        "exits": pd.concat(measure_exits(each, splits, resampling) for each in chosen.values()),
        "differences": compare_systems(
            chosen,
            points=points,
            pairs=pairs,
            splits=splits,
            resampling=resampling,
            full=experiment.full_model,
        ),
        "classes": pd.concat(
            measure_classes(each, points_of[key], task.labels) for key, each in chosen.items()
        ),
        "promises": pd.concat(
            measure_promises(each, splits, resampling) for each in chosen.values()
        ),
        "exit_differences": compare_exits(chosen, ablations, splits, resampling),
    }
    if asked["temperature"]:
        frames["temperature"] = pd.concat(
            compare_calibration(each, unscaled[key], splits, resampling)
            for key, each in chosen.items()
        )
        exits = pd.concat(measure_exits(each, splits, resampling) for each in unscaled.values())
        frames["exits"] = add_unscaled_ece(frames["exits"], exits)
        frames["exit_differences"] = add_unscaled_ece(
            frames["exit_differences"], compare_exits(unscaled, ablations, splits, resampling)
        )
    return {key: each.choice for key, each in chosen.items()}, frames
