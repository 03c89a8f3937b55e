from frames import frames
from job import job

from cascadebert.experiment.published import add_published_numbers
from cascadebert.reporting.exit_tables import table5_calibration
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    exits, differences = frames(snakemake, "exits", "exit_differences")
    exits = add_published_numbers(exits, 5, params.published)
    made = table5_calibration(exits, differences, params.titles, params.ablations)
    write_table(*made, snakemake.output.table)
