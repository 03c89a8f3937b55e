import json
from pathlib import Path

from frames import frames
from job import job

from cascadebert.published import data_table
from cascadebert.tables import table1_data
from cascadebert.typeset import write_table

with job(snakemake):
    params = snakemake.params
    [points] = frames(snakemake, "operating_points")
    tasks = [json.loads(Path(data, "task.json").read_text()) for data in snakemake.input.data]
    paper = data_table(params.published)
    made = table1_data(tasks, points, params.titles, params.ablations, paper)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
