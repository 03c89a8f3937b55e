from pathlib import Path

from job import job
from job_fields import read_job_fields, select_parents

from cascadebert.experiment.configuration import Experiment
from cascadebert.training.stages import Job, predict_run

with job(snakemake):
    run = Experiment(snakemake.config).runs[snakemake.wildcards.run]
    fields = read_job_fields(snakemake, run)
    models = snakemake.input.models
    for i, folder in enumerate(snakemake.output.predictions):
        predict_run(
            Job(**fields, parents=select_parents(snakemake, i, len(models))),
            trained=Path(models[i]),
            reference=snakemake.params.reference,
            max_length=snakemake.params.max_length,
            folder=folder,
        )
