from pathlib import Path

from job import job
from job_fields import read_job_fields, select_parents

from cascadebert.experiment.configuration import Experiment
from cascadebert.training.representations import represent_run
from cascadebert.training.stages import Job

with job(snakemake):
    run = Experiment(snakemake.config).runs[snakemake.wildcards.run]
    fields = read_job_fields(snakemake, run)
    represent_run(
        Job(**fields, parents=select_parents(snakemake, 0, 1)),
        trained=Path(snakemake.input.model),
        layers=snakemake.params.layers,
        path=snakemake.output.states,
    )
