from itertools import groupby

from job import job
from job_fields import read_job_fields

from cascadebert.experiment.configuration import Experiment
from cascadebert.training.loop import Settings
from cascadebert.training.stages import LabellingJob, label_run, label_stack
from cascadebert.training.store import Store

with job(snakemake):
    store = Store(snakemake.params.store, snakemake.config["save_seconds"])
    run = Experiment(snakemake.config).labellers[snakemake.wildcards.labeller]
    fields = read_job_fields(snakemake, run)
    jobs = [
        LabellingJob(
            **fields,
            settings=Settings.of(snakemake.params.settings),
            fold=fold,
            folds=snakemake.params.folds,
            replicate=seed,
        )
        for fold, seed in snakemake.params.members
    ]
    pairs = list(zip(jobs, snakemake.output.runs, strict=True))
    if snakemake.params.stacked:
        for _, of_fold in groupby(pairs, key=lambda pair: pair[0].fold):
            stack, outputs = zip(*of_fold, strict=True)
            label_stack(stack, store, outputs)
    else:
        for job_of_seed, output in pairs:
            label_run(job_of_seed, store, output)
