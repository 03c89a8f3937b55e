from job import job

from cascadebert.pretraining.family import make_encoder

with job(snakemake):
    make_encoder(
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.input.tokenizer,
        snakemake.input.tokens,
        snakemake.input.shards,
        snakemake.input.get("shallower") or None,
        snakemake.params.state,
        snakemake.output.student,
        snakemake.output.curve,
        snakemake.output.model,
    )
