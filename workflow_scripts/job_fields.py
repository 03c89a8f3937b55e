"""The fields of a `stages.Job` that the rules of all stages give in the same way."""

from pathlib import Path

from cascadebert.data.task import Task
from cascadebert.systems.method import Run


def read_job_fields(snakemake, run: Run) -> dict:
    return {
        "task": Task.load(snakemake.input.data),
        "tokens": Path(snakemake.input.tokens),
        "run": run,
        "encoder": snakemake.params.encoder,
        "seed": snakemake.params.seed,
    }


def select_parents(snakemake, place: int, replicates: int) -> list[Path]:
    """The parents of the replicate at this place; the input lists each parent's in order."""
    return [Path(folder) for folder in snakemake.input.parents[place::replicates]]
