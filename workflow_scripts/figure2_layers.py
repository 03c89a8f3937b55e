from pathlib import Path

import pandas as pd
from chosen import load_choices, load_systems, of_split
from job import job

from cascadebert.core.seeds import derive_seed
from cascadebert.data.task import Task
from cascadebert.evaluation.layerwise import accuracy_where_emitted
from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures import figure2_layers

with job(snakemake):
    emits, series = snakemake.params.emits, snakemake.params.series
    target = snakemake.params.target
    parts = []
    for task in map(Task.load, snakemake.input.data):
        choices = load_choices(snakemake, task)
        systems = load_systems(snakemake, task, choices)
        for split in task.scored_splits:
            predictions = {key: of_split(systems[key], choices[key], split) for key in systems}
            taken = [
                systems[emits].rule.exit_index(replicate, knob)
                for replicate, knob in zip(
                    predictions[emits], choices[emits].knobs[target], strict=True
                )
            ]
            part = accuracy_where_emitted(
                emits,
                taken,
                series,
                predictions,
                seed=derive_seed(snakemake.params.seed, "layers", task.name, split),
                resamples=snakemake.params.resamples,
            )
            parts.append(part.assign(task=task.name, split=split, target_speedup=target))
    table = pd.concat(parts, ignore_index=True)
    save_figure(figure2_layers(table), Path(snakemake.output.figure).with_suffix(""), table)
