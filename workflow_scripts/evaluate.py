import pandas as pd
from job import job

from cascadebert.core.files import replacing
from cascadebert.data.predictions import PROBES
from cascadebert.data.task import Task
from cascadebert.encoders.loading import find_shape
from cascadebert.evaluation.choice import ChosenSystem, choose
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

with job(snakemake):
    params = snakemake.params
    experiment = Experiment(snakemake.config)
    task = Task.load(snakemake.input.data)
    splits = task.scored_splits
    resampling = Resampling(params.seed, params.resamples)
    layers = find_shape(params.reference).num_hidden_layers

    chosen, unscaled, probes = {}, {}, {}
    for key, path in zip(params.systems, snakemake.output.choices, strict=True):
        as_it_is, of_probes = (
            load_unscaled(
                experiment, params.predictions, task, key, layers, place=place, times=params.times
            )
            for place in ("", PROBES)
        )
        system = scale_system(as_it_is) if params.temperature else as_it_is
        choice = choose(system, params.targets)
        choice.save(path)
        chosen[key], probes[key] = ChosenSystem(system, choice), ChosenSystem(of_probes, choice)
        unscaled[key] = ChosenSystem(as_it_is, choice)

    points_of = {
        key: measure_operating_points(each, splits, resampling, params.tolerance)
        for key, each in chosen.items()
    }
    points = pd.concat(points_of.values())
    absent = [
        describe_not_run(
            task,
            system=key,
            rule=system.rule,
            targets=params.targets,
            replicates=len(experiment.replicates),
        )
        for key, system in experiment.systems.items()
        if key not in chosen
    ]
    gaps = pd.concat(compare_with_probes(chosen[key], probes[key], splits) for key in chosen)
    pairs = [pair for pair in experiment.comparisons if set(pair) <= set(chosen)]
    ablations = dict(pair for pair in pairs if pair in experiment.ablations.items())
    tables = {
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
    if params.temperature:
        tables["temperature"] = pd.concat(
            compare_calibration(each, unscaled[key], splits, resampling)
            for key, each in chosen.items()
        )
        exits = pd.concat(measure_exits(each, splits, resampling) for each in unscaled.values())
        tables["exits"] = add_unscaled_ece(tables["exits"], exits)
        tables["exit_differences"] = add_unscaled_ece(
            tables["exit_differences"], compare_exits(unscaled, ablations, splits, resampling)
        )
    for name, table in tables.items():
        with replacing(snakemake.output[name]) as draft:
            table.to_csv(draft, index=False)
