from job import job
from job_fields import read_settings

from cascadebert.pretraining.family import make_vocabulary

with job(snakemake):
    make_vocabulary(
        read_settings(snakemake),
        snakemake.input.sentences,
        snakemake.output.tokenizer,
        snakemake.output.tokens,
    )
