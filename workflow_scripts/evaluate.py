import pandas as pd
from job import job

from cascadebert.core.files import replacing
from cascadebert.data.task import Task
from cascadebert.evaluation.choice import choose
from cascadebert.evaluation.comparison import differences, exit_differences
from cascadebert.evaluation.exits import RULES
from cascadebert.evaluation.points import (
    curve,
    exit_measures,
    mark_undertrained,
    not_run,
    operating_points,
    probe_gaps,
)
from cascadebert.evaluation.results import load_system
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.predictions import PROBES

with job(snakemake):
    experiment = Experiment(snakemake.config)
    task = Task.load(snakemake.input.data)
    splits = task.scored_splits
    common = {"seed": snakemake.params.seed, "resamples": snakemake.params.resamples}

    systems = {
        key: load_system(experiment, snakemake.params.predictions, task, key)
        for key in snakemake.params.systems
    }
    probes = {
        key: load_system(experiment, snakemake.params.predictions, task, key, place=PROBES)
        for key in snakemake.params.systems
    }
    choices = {key: choose(system, snakemake.params.targets) for key, system in systems.items()}
    for choice, path in zip(choices.values(), snakemake.output.choices, strict=True):
        choice.save(path)

    points = [
        operating_points(
            systems[key], choices[key], splits, tolerance=snakemake.params.tolerance, **common
        )
        for key in systems
    ]
    absent = [
        not_run(
            task,
            key,
            RULES[system.rule],
            splits,
            snakemake.params.targets,
            len(experiment.replicates),
        )
        for key, system in experiment.systems.items()
        if key not in systems
    ]
    gaps = pd.concat(probe_gaps(systems[k], probes[k], choices[k], splits) for k in systems)
    comparisons = [pair for pair in experiment.comparisons if set(pair) <= set(systems)]
    ablations = {pair[0]: pair[1] for pair in comparisons if pair in experiment.ablations.items()}
    tables = {
        "operating_points": mark_undertrained(pd.concat([*points, *absent]), gaps),
        "probes": gaps,
        "curves": pd.concat(curve(systems[key], choices[key], splits, **common) for key in systems),
        "exits": pd.concat(
            exit_measures(systems[key], choices[key], splits, **common) for key in systems
        ),
        "differences": differences(
            systems, choices, pd.concat(points), comparisons, splits, **common
        ),
        "exit_differences": exit_differences(systems, choices, ablations, splits, **common),
    }
    for name, table in tables.items():
        with replacing(snakemake.output[name]) as draft:
            table.to_csv(draft, index=False)
