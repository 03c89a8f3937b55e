from pathlib import Path

from frames import frames
from job import job

from cascadebert.published import beside
from cascadebert.tables import table3_distillation
from cascadebert.typeset import write_table

with job(snakemake):
    params = snakemake.params
    [points] = frames(snakemake, "operating_points")
    points = beside(points, 3, params.published)
    made = table3_distillation(points, params.titles, params.averaging)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
