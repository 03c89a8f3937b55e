from pathlib import Path

from job import job

from cascadebert.data.task import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.loop import Settings
from cascadebert.training.stages import LabellingJob, label_run
from cascadebert.training.store import Store

with job(snakemake):
    store = Store(snakemake.params.store, snakemake.config["save_seconds"])
    for (fold, seed), output in zip(snakemake.params.members, snakemake.output.runs, strict=True):
        labelling = LabellingJob(
            task=Task.load(snakemake.input.data),
            tokens=Path(snakemake.input.tokens),
            run=Experiment(snakemake.config).labellers[snakemake.wildcards.labeller],
            encoder=snakemake.params.encoder,
            seed=snakemake.params.seed,
            settings=Settings.of(snakemake.params.settings),
            fold=fold,
            folds=snakemake.params.folds,
            replicate=seed,
        )
        label_run(labelling, store, output)
