from pathlib import Path

from job import job

from cascadebert.data import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.loop import Settings
from cascadebert.training.stages import train_run
from cascadebert.training.store import Store

with job(snakemake):
    store = Store(snakemake.params.store, snakemake.config["save_seconds"])
    run = Experiment(snakemake.config).runs[snakemake.wildcards.run]
    replicates = snakemake.params.replicates
    for i, replicate in enumerate(replicates):
        train_run(
            Task.load(snakemake.input.data),
            Path(snakemake.input.tokens),
            run,
            snakemake.params.encoder,
            # Inputs list each parent's replicates in order.
            [Path(folder) for folder in snakemake.input.parents[i :: len(replicates)]],
            snakemake.input.get("difficulty") or None,
            Settings.of(snakemake.params.settings),
            snakemake.params.seed,
            replicate,
            store,
            snakemake.output.models[i],
        )
