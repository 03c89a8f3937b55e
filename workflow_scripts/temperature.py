from frames import frames
from job import job

from cascadebert.reporting.temperature_table import table_temperature
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    [temperatures] = frames(snakemake, "temperature")
    cost = snakemake.config["evaluation"]["cost"]
    made = table_temperature(temperatures, snakemake.params.titles, cost)
    write_table(*made, snakemake.output.table)
