import json
from pathlib import Path

from job import job

from cascadebert.reporting.crate import write_crate

with job(snakemake):
    record = json.loads(Path(snakemake.input.record).read_text(encoding="utf-8"))
    write_crate(
        record,
        results=snakemake.params.results,
        made=snakemake.input.made,
        out=snakemake.output.zip,
    )
