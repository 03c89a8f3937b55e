from job import job
from job_fields import read_settings

from cascadebert.pretraining.encoder import EncoderJob, make_encoder
from cascadebert.training.store import Store

with job(snakemake):
    encoder = EncoderJob(
        settings=read_settings(snakemake),
        seed=snakemake.params.seed,
        tokenizer=snakemake.input.tokenizer,
        tokens=snakemake.input.tokens,
        shards=snakemake.input.shards,
        space=snakemake.input.get("space") or None,
        shallower=snakemake.input.get("shallower") or None,
    )
    make_encoder(
        encoder,
        Store(snakemake.params.store, snakemake.config["save_seconds"]),
        student=snakemake.output.student,
        curve=snakemake.output.curve,
        model=snakemake.output.model,
    )
