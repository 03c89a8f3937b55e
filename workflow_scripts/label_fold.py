from pathlib import Path

from job import job

from cascadebert.stages import label_fold
from cascadebert.tasks import Task
from cascadebert.training import Settings

with job(snakemake):
    label_fold(
        Task.load(snakemake.input.data),
        Path(snakemake.input.tokens),
        snakemake.params.encoder,
        snakemake.wildcards.encoder,
        int(snakemake.wildcards.fold),
        snakemake.params.folds,
        snakemake.params.seeds,
        Settings.of(snakemake.params.settings),
        snakemake.params.seed,
        snakemake.params.store,
        snakemake.output.runs,
    )
