from pathlib import Path

import pandas as pd
from chosen import load_choices, load_systems
from frames import frames
from job import job

from cascadebert.data.task import Task
from cascadebert.evaluation.claims import Evidence, Roles, statistics
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.experiment.configuration import Experiment
from cascadebert.reporting.claims import table_claims, to_frame
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    names = ("operating_points", "differences", "exit_differences")
    measured = frames(snakemake, *names)
    roles = Roles.of(Experiment(snakemake.config))
    parts = []
    for task in map(Task.load, snakemake.input.data):
        choices = load_choices(snakemake, task)
        systems = load_systems(snakemake, task, choices)
        for split in task.scored_splits:
            here = [f[(f["task"] == task.name) & (f["split"] == split)] for f in measured]
            drawn = {"seed": snakemake.params.seed, "resamples": snakemake.params.resamples}
            evidence = Evidence(split, systems, choices, *here, **drawn)
            parts.append(to_frame(statistics(roles.among(systems), evidence), here[0]))
    points = measured[0]
    incomplete = set(points["task"][points["note"] == NOT_RUN])
    made = table_claims(pd.concat(parts, ignore_index=True), incomplete)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
