from pathlib import Path

from frames import frames
from job import job

from cascadebert.published import beside
from cascadebert.tables import table5_calibration
from cascadebert.typeset import write_table

with job(snakemake):
    params = snakemake.params
    exits, differences = frames(snakemake, "exits", "exit_differences")
    exits = beside(exits, 5, params.published)
    made = table5_calibration(exits, differences, params.titles, params.ablations)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
