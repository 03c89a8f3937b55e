from frames import frames
from job import job

from cascadebert.reporting.exit_tables import table_probes
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    [gaps] = frames(snakemake, "probes")
    params, cost = snakemake.params, snakemake.config["evaluation"]["cost"]
    made = table_probes(gaps, params.titles, params.pooling, cost)
    write_table(*made, snakemake.output.table)
