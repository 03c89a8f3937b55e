from frames import frames
from job import job

from cascadebert.reporting.promise_table import table_promises
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    [promises] = frames(snakemake, "promises")
    made = table_promises(promises, snakemake.params.titles)
    write_table(*made, snakemake.output.table)
