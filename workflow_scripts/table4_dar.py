from pathlib import Path

from frames import frames
from job import job

from cascadebert.published import beside
from cascadebert.tables import table4_dar
from cascadebert.typeset import write_table

with job(snakemake):
    params = snakemake.params
    points, differences = frames(snakemake, "operating_points", "differences")
    points = beside(points, 4, params.published)
    made = table4_dar(points, differences, params.titles, params.ablations)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
