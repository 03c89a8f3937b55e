from pathlib import Path

from job import job

from cascadebert.experiment import Experiment
from cascadebert.stages import predict_run
from cascadebert.tasks import Task

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
