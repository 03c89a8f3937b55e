from job import job, log

from cascadebert.core.files import replacing
from cascadebert.data.task import Task
from cascadebert.training.difficulty import combine_answers

with job(snakemake):
    ids = Task.load(snakemake.input.data).splits["train"]["id"].to_numpy(dtype=str)
    table = combine_answers(snakemake.input.runs, ids)
    log.info("%.1f%% of %d examples are difficult", 100 * table["difficult"].mean(), len(table))
    with replacing(snakemake.output.labels) as draft:
        table.to_parquet(draft, index=False)
