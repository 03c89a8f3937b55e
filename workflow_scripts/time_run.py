from pathlib import Path

from job import job
from job_fields import read_job_fields, select_parents

from cascadebert.core.files import replacing
from cascadebert.data.task import DEV
from cascadebert.deployment.timing import time_exits
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.stages import Job

with job(snakemake):
    run = Experiment(snakemake.config).runs[snakemake.wildcards.run]
    timed = Job(
        **read_job_fields(snakemake, run), parents=select_parents(snakemake, place=0, replicates=1)
    )
    model = timed.load_model(Path(snakemake.input.model))
    times = time_exits(model, timed.load_split(DEV), snakemake.params.batch_size)
    with replacing(snakemake.output.times) as draft:
        times.to_csv(draft, index=False)
