from frames import frames
from job import job

from cascadebert.reporting.curve_table import table_curve_scores
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    scores, probes = frames(snakemake, "curve_scores", "probes")
    params = snakemake.params
    made = table_curve_scores(scores, probes, params.titles, params.reference)
    write_table(*made, snakemake.output.table)
