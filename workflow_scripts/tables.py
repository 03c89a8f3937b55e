import json
from pathlib import Path

from frames import frames
from job import job

from cascadebert.tables import table1_data, table2_main, table4_dar, table5_calibration
from cascadebert.typeset import write_table

with job(snakemake):
    points, exits, differences, exit_differences = frames(
        snakemake, "operating_points", "exits", "differences", "exit_differences"
    )
    tasks = [json.loads(Path(data, "task.json").read_text()) for data in snakemake.input.data]
    names = {"titles": snakemake.params.titles, "ablations": snakemake.params.ablations}
    tables = {
        "table1_data": table1_data(tasks, points, **names),
        "table2_main": table2_main(points, snakemake.params.titles),
        "table4_dar": table4_dar(points, differences, **names),
        "table5_calibration": table5_calibration(exits, exit_differences, **names),
    }
    for name, (table, display) in tables.items():
        write_table(table, display, Path(snakemake.output[name]).with_suffix(""))
