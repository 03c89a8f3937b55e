from pathlib import Path

from job import job

from cascadebert.data import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.loop import Settings
from cascadebert.training.stages import label_run
from cascadebert.training.store import Store

with job(snakemake):
    store = Store(snakemake.params.store, snakemake.config["save_seconds"])
    for (fold, seed), output in zip(snakemake.params.members, snakemake.output.runs, strict=True):
        label_run(
            Task.load(snakemake.input.data),
            Path(snakemake.input.tokens),
            Experiment(snakemake.config).labellers[snakemake.wildcards.labeller],
            snakemake.params.encoder,
            fold,
            snakemake.params.folds,
            seed,
            Settings.of(snakemake.params.settings),
            snakemake.params.seed,
            store,
            output,
        )
