from pathlib import Path

from frames import frames
from job import job

from cascadebert.tables import table_probes
from cascadebert.typeset import write_table

with job(snakemake):
    [gaps] = frames(snakemake, "probes")
    made = table_probes(gaps, snakemake.params.titles, snakemake.params.pooling)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
