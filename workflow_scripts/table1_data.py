from chosen import load_choices
from frames import frames
from job import job

from cascadebert.data.task import read_descriptions
from cascadebert.experiment.configuration import Experiment
from cascadebert.experiment.published import read_published_sizes
from cascadebert.reporting.data_table import table1_data
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    [points] = frames(snakemake, "operating_points")
    tasks = read_descriptions(snakemake.input.data, snakemake.input.tokens)
    paper = read_published_sizes(params.published)
    systems = Experiment(snakemake.config).systems
    candidates = {key: system.candidates for key, system in systems.items()}
    chosen = {
        (task["name"], key): choice.candidate
        for task in tasks
        for key, choice in load_choices(snakemake, task["name"]).items()
    }
    made = table1_data(tasks, points, params.titles, params.ablations, paper, candidates, chosen)
    write_table(*made, snakemake.output.table)
