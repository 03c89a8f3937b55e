from frames import frames
from job import job

from cascadebert.reporting.class_table import table_classes
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    [classes] = frames(snakemake, "classes")
    params = snakemake.params
    made = table_classes(classes, params.titles, params.proposed, params.full)
    write_table(*made, snakemake.output.table)
