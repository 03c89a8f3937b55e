from job import job

from cascadebert.pretraining.family import make_space

with job(snakemake):
    make_space(snakemake.params.settings, snakemake.input.sentences, snakemake.output.space)
