from job import job

from cascadebert.stages import tokenize_task
from cascadebert.tasks import Task

with job(snakemake):
    tokenize_task(
        Task.load(snakemake.input.data),
        snakemake.params.encoder,
        snakemake.params.max_length,
        snakemake.output.tokens,
    )
