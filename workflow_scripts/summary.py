import pandas as pd
from frames import frames
from job import job

from cascadebert.core.files import replacing
from cascadebert.reporting.summary import summary

with job(snakemake):
    page = summary(
        *frames(snakemake, "operating_points", "differences", "exits", "exit_differences"),
        pd.read_csv(snakemake.input.claims),
        snakemake.params.titles,
        snakemake.params.ablations,
        snakemake.params.proposed,
        snakemake.params.experiment,
        snakemake.input.figure,
        snakemake.params.missing,
    )
    with replacing(snakemake.output.page) as draft:
        draft.write_text(page, encoding="utf-8")
