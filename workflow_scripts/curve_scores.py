from pathlib import Path

from frames import frames
from job import job

from cascadebert.reporting.curve_table import table_curve_scores
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    scores, points = frames(snakemake, "curve_scores", "operating_points")
    params = snakemake.params
    made = table_curve_scores(scores, points, params.titles, params.reference)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
