import json

from job import job

from cascadebert.core.files import replacing
from cascadebert.reporting.provenance import collect_provenance, table_provenance
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    record = collect_provenance(
        config=snakemake.params.configuration,
        data=snakemake.input.data,
        encoders=snakemake.params.encoders,
        predictions=snakemake.input.predictions,
        labels=snakemake.input.get("labels", []),
        missing=snakemake.params.missing,
    )
    with replacing(snakemake.output.record) as draft:
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        draft.write_text(text, encoding="utf-8")
    write_table(*table_provenance(record), snakemake.output.table)
