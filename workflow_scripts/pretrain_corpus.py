import os

os.environ.setdefault("HF_HUB_OFFLINE", "0")  # jobs that fetch may reach the hub; others may not

from job import job

from cascadebert.pretraining.family import make_corpus

with job(snakemake):
    make_corpus(snakemake.params.settings, snakemake.params.seed, snakemake.output.sentences)
