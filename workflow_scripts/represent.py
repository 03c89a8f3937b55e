from pathlib import Path

from job import job

from cascadebert.experiment import Experiment
from cascadebert.representations import represent_run
from cascadebert.tasks import Task

with job(snakemake):
    represent_run(
        Task.load(snakemake.input.data),
        Path(snakemake.input.tokens),
        Experiment(snakemake.config).runs[snakemake.wildcards.run],
        snakemake.params.encoder,
        [Path(parent) for parent in snakemake.input.parents],
        Path(snakemake.input.model),
        snakemake.params.layers,
        snakemake.params.seed,
        snakemake.output.states,
    )
