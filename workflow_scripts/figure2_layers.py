import pandas as pd
from chosen import load_chosen
from job import job

from cascadebert.data.task import Task
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.layerwise import score_where_emitted
from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures.layers import figure2_layers

with job(snakemake):
    params = snakemake.params
    resampling = Resampling(params.seed, params.resamples)
    parts = []
    for task in map(Task.load, snakemake.input.data):
        chosen = load_chosen(snakemake, task)
        for split in task.scored_splits:
            part = score_where_emitted(
                params.emits,
                leaving=chosen[params.emits].leaving(split, params.target),
                series=params.series,
                predictions={key: each.predictions(split) for key, each in chosen.items()},
                resampling=resampling.derive("layers", task.name, split),
            )
            parts.append(part.assign(task=task.name, split=split, target_speedup=params.target))
    table = pd.concat(parts, ignore_index=True)
    save_figure(figure2_layers(table), snakemake.output.figure, table)
