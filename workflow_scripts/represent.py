from pathlib import Path

from job import job

from cascadebert.data.task import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.representations import represent_run
from cascadebert.training.stages import Job

with job(snakemake):
    represented = Job(
        task=Task.load(snakemake.input.data),
        tokens=Path(snakemake.input.tokens),
        run=Experiment(snakemake.config).runs[snakemake.wildcards.run],
        encoder=snakemake.params.encoder,
        parents=[Path(parent) for parent in snakemake.input.parents],
        seed=snakemake.params.seed,
    )
    represent_run(
        represented,
        trained=Path(snakemake.input.model),
        layers=snakemake.params.layers,
        path=snakemake.output.states,
    )
