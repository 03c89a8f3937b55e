from job import job
from job_fields import read_settings

from cascadebert.pretraining.family import make_space

with job(snakemake):
    make_space(read_settings(snakemake), snakemake.input.sentences, snakemake.output.space)
