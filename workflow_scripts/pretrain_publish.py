from job import job

from cascadebert.pretraining.family import publish

with job(snakemake):
    publish(
        snakemake.params.settings,
        snakemake.input.model,
        snakemake.input.curve,
        snakemake.input.tokens,
        snakemake.output.model,
    )
