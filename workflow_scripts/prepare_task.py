import os

os.environ.setdefault("HF_HUB_OFFLINE", "0")  # jobs that fetch may reach the hub; others may not

from job import job

from cascadebert.data.load import load_task, place_source_files

with job(snakemake):
    params = snakemake.params
    spec = place_source_files(params.spec, params.files, list(snakemake.input))
    task = load_task(snakemake.wildcards.task, spec, params.seed)
    task.save(snakemake.output.data)
