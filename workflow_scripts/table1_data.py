from pathlib import Path

from frames import frames
from job import job

from cascadebert.data.task import read_descriptions
from cascadebert.experiment.configuration import Experiment
from cascadebert.experiment.published import read_published_sizes
from cascadebert.reporting.tables import table1_data
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    [points] = frames(snakemake, "operating_points")
    tasks = read_descriptions(snakemake.input.data, snakemake.input.tokens)
    paper = read_published_sizes(params.published)
    systems = Experiment(snakemake.config).systems
    candidates = {key: system.candidates for key, system in systems.items()}
    made = table1_data(tasks, points, params.titles, params.ablations, paper, candidates)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
