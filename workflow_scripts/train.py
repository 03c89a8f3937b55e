from pathlib import Path

from job import job

from cascadebert.data.task import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.loop import Settings
from cascadebert.training.stages import TrainingJob, train_run
from cascadebert.training.store import Store

with job(snakemake):
    store = Store(snakemake.params.store, snakemake.config["save_seconds"])
    replicates = snakemake.params.replicates
    for i, replicate in enumerate(replicates):
        training = TrainingJob(
            task=Task.load(snakemake.input.data),
            tokens=Path(snakemake.input.tokens),
            run=Experiment(snakemake.config).runs[snakemake.wildcards.run],
            encoder=snakemake.params.encoder,
            # Inputs list each parent's replicates in order.
            parents=[Path(folder) for folder in snakemake.input.parents[i :: len(replicates)]],
            seed=snakemake.params.seed,
            settings=Settings.of(snakemake.params.settings),
            replicate=replicate,
            difficulty=snakemake.input.get("difficulty") or None,
        )
        train_run(training, store, snakemake.output.models[i])
