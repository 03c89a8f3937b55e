from pathlib import Path

from frames import frames
from job import job

from cascadebert.reporting.class_table import table_classes
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    [classes] = frames(snakemake, "classes")
    made = table_classes(classes, snakemake.params.titles, snakemake.params.proposed)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
