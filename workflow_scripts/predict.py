from pathlib import Path

from job import job

from cascadebert.data import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.stages import predict_run

with job(snakemake):
    run = Experiment(snakemake.config).runs[snakemake.wildcards.run]
    models = snakemake.input.models
    for i, folder in enumerate(snakemake.output.predictions):
        predict_run(
            Task.load(snakemake.input.data),
            Path(snakemake.input.tokens),
            run,
            snakemake.params.encoder,
            [Path(parent) for parent in snakemake.input.parents[i :: len(models)]],
            Path(models[i]),
            snakemake.params.reference,
            snakemake.params.max_length,
            snakemake.params.seed,
            folder,
        )
