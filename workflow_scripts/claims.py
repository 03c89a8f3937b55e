import pandas as pd
from chosen import load_chosen
from frames import frames
from job import job

from cascadebert.data.task import Task
from cascadebert.evaluation.claims import tabulate_statistics
from cascadebert.evaluation.evidence import Evidence, compute_statistics
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.evaluation.results import assign_roles
from cascadebert.experiment.configuration import Experiment
from cascadebert.reporting.claims import table_claims
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    names = ("operating_points", "probes", "differences", "exit_differences")
    measured = frames(snakemake, *names)
    roles = assign_roles(Experiment(snakemake.config))
    parts = []
    for task in map(Task.load, snakemake.input.data):
        chosen = load_chosen(snakemake, task)
        for split in task.scored_splits:
            points, probes, differences, exit_differences = (
                frame[(frame["task"] == task.name) & (frame["split"] == split)]
                for frame in measured
            )
            evidence = Evidence(
                split=split,
                systems=chosen,
                points=points,
                probes=probes,
                differences=differences,
                exit_differences=exit_differences,
                resampling=Resampling(snakemake.params.seed, snakemake.params.resamples),
            )
            found = compute_statistics(roles.keep(chosen), evidence)
            parts.append(tabulate_statistics(found, points))
    points = measured[0]
    incomplete = set(points["task"][points["note"] == NOT_RUN])
    made = table_claims(pd.concat(parts, ignore_index=True), incomplete)
    write_table(*made, snakemake.output.table)
