from pathlib import Path

from frames import frames
from job import job

from cascadebert.reporting.exit_tables import table_probes
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    [gaps] = frames(snakemake, "probes")
    made = table_probes(gaps, snakemake.params.titles, snakemake.params.pooling)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
