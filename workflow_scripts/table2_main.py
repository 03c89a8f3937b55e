from pathlib import Path

from frames import frames
from job import job

from cascadebert.experiment.published import beside
from cascadebert.reporting.tables import table2_main
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    [points] = frames(snakemake, "operating_points")
    points = beside(points, 2, params.published)
    made = table2_main(points, params.titles, params.averaging)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
