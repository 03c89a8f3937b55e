from frames import frames
from job import job

from cascadebert.experiment.published import add_published_numbers
from cascadebert.reporting.tables import table4_dar
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    points, differences = frames(snakemake, "operating_points", "differences")
    points = add_published_numbers(points, 4, params.published)
    made = table4_dar(points, differences, params.titles, params.ablations)
    write_table(*made, snakemake.output.table)
