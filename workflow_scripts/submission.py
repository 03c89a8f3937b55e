from job import job

from cascadebert.experiment.configuration import Experiment
from cascadebert.reporting.submission import write_submission

with job(snakemake):
    write_submission(Experiment(snakemake.config), snakemake.params.results, snakemake.output.zip)
