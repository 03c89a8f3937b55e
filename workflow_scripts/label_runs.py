from job import job
from job_fields import read_job_fields

from cascadebert.experiment.configuration import Experiment
from cascadebert.training.loop import Settings
from cascadebert.training.stages import LabellingJob, label_run
from cascadebert.training.store import Store

with job(snakemake):
    store = Store(snakemake.params.store, snakemake.config["save_seconds"])
    run = Experiment(snakemake.config).labellers[snakemake.wildcards.labeller]
    fields = read_job_fields(snakemake, run)
    for (fold, seed), output in zip(snakemake.params.members, snakemake.output.runs, strict=True):
        labelling = LabellingJob(
            **fields,
            settings=Settings.of(snakemake.params.settings),
            fold=fold,
            folds=snakemake.params.folds,
            replicate=seed,
        )
        label_run(labelling, store, output)
