from job import job

from cascadebert.pretraining.family import make_corpus

with job(snakemake):
    make_corpus(snakemake.params.settings, snakemake.params.seed, snakemake.output.sentences)
