from job import job

from cascadebert.pretraining.family import make_vocabulary

with job(snakemake):
    make_vocabulary(
        snakemake.params.settings,
        snakemake.input.sentences,
        snakemake.output.tokenizer,
        snakemake.output.tokens,
    )
