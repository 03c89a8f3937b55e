from pathlib import Path

from job import job

from cascadebert.pretraining.family import publish

with job(snakemake):
    publish(
        snakemake.params.settings,
        snakemake.input.model,
        snakemake.input.curve,
        snakemake.input.tokens,
        Path(snakemake.output.model[0]).parent,
    )
