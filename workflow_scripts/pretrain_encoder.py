from job import job

from cascadebert.pretraining.family import make_encoder
from cascadebert.training.checkpoint import Checkpoint

with job(snakemake):
    make_encoder(
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.input.tokenizer,
        snakemake.input.tokens,
        snakemake.input.shards,
        snakemake.input.get("space") or None,
        snakemake.input.get("shallower") or None,
        Checkpoint(snakemake.params.state, snakemake.config["save_seconds"]),
        snakemake.output.student,
        snakemake.output.curve,
        snakemake.output.model,
    )
