import os

os.environ.setdefault("HF_HUB_OFFLINE", "0")  # jobs that fetch may reach the hub; others may not

from job import job

from cascadebert.encoders.loading import fetch

with job(snakemake):
    fetch(snakemake.params.model, snakemake.output.model, snakemake.params.revision)
