import os

os.environ.setdefault("HF_HUB_OFFLINE", "0")  # jobs that fetch may reach the hub; others may not

from job import job

from cascadebert.pretraining.family import make_corpus

with job(snakemake):
    settings, files = snakemake.params.settings, iter(snakemake.input)
    corpora = [
        each | {"file": next(files)} if "file" in each else each for each in settings["corpora"]
    ]
    make_corpus(settings | {"corpora": corpora}, snakemake.params.seed, snakemake.output.sentences)
