from pathlib import Path

import pandas as pd
from chosen import load_choices, load_systems
from frames import frames
from job import job

from cascadebert.data.task import Task
from cascadebert.evaluation.appendix_c import gains
from cascadebert.reporting.appendix_c import appendix_c
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    extensions, complete = snakemake.params.extensions, snakemake.params.complete
    (points,) = frames(snakemake, "operating_points")
    parts = []
    for task in map(Task.load, snakemake.input.data):
        choices = load_choices(snakemake, task)
        systems = load_systems(snakemake, task, choices)
        parts += [
            gains(
                systems[new],
                systems[old],
                [systems[key] for key in complete if key in systems],
                choices,
                points[points["task"] == task.name],
                task.scored_splits,
                seed=snakemake.params.seed,
                resamples=snakemake.params.resamples,
            )
            for new, old in extensions.items()
            if {new, old} <= set(systems)
        ]
    made = appendix_c(pd.concat(parts, ignore_index=True), snakemake.params.titles)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
