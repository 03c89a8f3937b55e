from job import job
from job_fields import read_settings

from cascadebert.pretraining.family import make_outputs

with job(snakemake):
    make_outputs(
        read_settings(snakemake),
        int(snakemake.wildcards.shard),
        snakemake.input.sentences,
        snakemake.input.tokenizer,
        snakemake.input.space,
        snakemake.output.shard,
    )
