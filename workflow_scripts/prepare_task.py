import os

os.environ.setdefault("HF_HUB_OFFLINE", "0")  # jobs that fetch may reach the hub; others may not

from job import job

from cascadebert.data.load import load_task

with job(snakemake):
    name = snakemake.wildcards.task
    task = load_task(name, snakemake.params.spec, snakemake.params.seed)
    task.save(snakemake.output.data)
