import json
from pathlib import Path

from frames import frames
from job import job

from cascadebert.experiment.published import read_published_sizes
from cascadebert.reporting.tables import table1_data
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    [points] = frames(snakemake, "operating_points")
    tasks = [json.loads(Path(data, "task.json").read_text()) for data in snakemake.input.data]
    paper = read_published_sizes(params.published)
    made = table1_data(tasks, points, params.titles, params.ablations, paper)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
