from pathlib import Path

from job import job

from cascadebert.data.task import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.stages import Job, predict_run

with job(snakemake):
    models = snakemake.input.models
    for i, folder in enumerate(snakemake.output.predictions):
        predicted = Job(
            task=Task.load(snakemake.input.data),
            tokens=Path(snakemake.input.tokens),
            run=Experiment(snakemake.config).runs[snakemake.wildcards.run],
            encoder=snakemake.params.encoder,
            parents=[Path(parent) for parent in snakemake.input.parents[i :: len(models)]],
            seed=snakemake.params.seed,
        )
        predict_run(
            predicted,
            trained=Path(models[i]),
            reference=snakemake.params.reference,
            max_length=snakemake.params.max_length,
            folder=folder,
        )
