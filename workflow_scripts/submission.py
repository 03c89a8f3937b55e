from job import job

from cascadebert.experiment import Experiment
from cascadebert.submission import write_submission

with job(snakemake):
    write_submission(Experiment(snakemake.config), snakemake.params.results, snakemake.output.zip)
