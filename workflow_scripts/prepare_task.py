from job import job

from cascadebert.tasks import load_task

with job(snakemake):
    name = snakemake.wildcards.task
    task = load_task(name, snakemake.params.spec, snakemake.params.seed)
    task.save(snakemake.output.data)
