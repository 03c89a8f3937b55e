from pathlib import Path

from job import job

from cascadebert.data import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.representations import represent_run

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
