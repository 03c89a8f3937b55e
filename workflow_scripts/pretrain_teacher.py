from job import job

from cascadebert.pretraining.family import make_outputs

with job(snakemake):
    make_outputs(
        snakemake.params.settings,
        int(snakemake.wildcards.shard),
        snakemake.input.sentences,
        snakemake.input.tokenizer,
        snakemake.input.space,
        snakemake.output.shard,
    )
