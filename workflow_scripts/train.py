from pathlib import Path

from job import job
from job_fields import read_job_fields, select_parents

from cascadebert.experiment.configuration import Experiment
from cascadebert.training.loop import Settings
from cascadebert.training.stages import TrainingJob, predict_run, train_run
from cascadebert.training.store import Store

with job(snakemake):
    store = Store(snakemake.params.store, snakemake.config["save_seconds"])
    run = Experiment(snakemake.config).runs[snakemake.wildcards.run]
    fields = read_job_fields(snakemake, run)
    replicates = snakemake.params.replicates
    for i, replicate in enumerate(replicates):
        training = TrainingJob(
            **fields,
            parents=select_parents(snakemake, i, len(replicates)),
            settings=Settings.of(snakemake.params.settings),
            replicate=replicate,
            difficulty=snakemake.input.get("difficulty") or None,
        )
        train_run(training, store, snakemake.output.models[i])
        predict_run(
            training,
            trained=Path(snakemake.output.models[i]),
            reference=snakemake.params.reference,
            max_length=snakemake.params.settings["max_length"],
            folder=snakemake.output.predictions[i],
        )
