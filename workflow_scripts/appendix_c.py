import pandas as pd
from chosen import load_chosen
from frames import frames
from job import job

from cascadebert.data.task import Task
from cascadebert.evaluation.appendix_c import Extension, measure_gains
from cascadebert.evaluation.intervals import Resampling
from cascadebert.reporting.appendix_c import table_appendix_c
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    (points,) = frames(snakemake, "operating_points")
    parts = []
    for task in map(Task.load, snakemake.input.data):
        chosen = load_chosen(snakemake, task)
        others = [chosen[key] for key in params.complete if key in chosen]
        parts += [
            measure_gains(
                Extension(new=chosen[new], old=chosen[old], others=others),
                points=points[points["task"] == task.name],
                splits=task.scored_splits,
                resampling=Resampling(params.seed, params.resamples),
            )
            for new, old in params.extensions.items()
            if {new, old} <= set(chosen)
        ]
    made = table_appendix_c(pd.concat(parts, ignore_index=True), params.titles)
    write_table(*made, snakemake.output.table)
