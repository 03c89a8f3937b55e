from job import job

from cascadebert.data.task import Task
from cascadebert.training.tokenizing import tokenize_task

with job(snakemake):
    tokenize_task(
        Task.load(snakemake.input.data),
        snakemake.params.encoder,
        snakemake.params.max_length,
        snakemake.output.tokens,
    )
