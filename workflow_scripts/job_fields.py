"""What the rules of several stages give to their scripts in the same way."""

from pathlib import Path

from cascadebert.data.task import Task
from cascadebert.systems.method import Run


def read_job_fields(snakemake, run: Run) -> dict:
    """The fields of a `stages.Job`."""
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


def read_settings(snakemake) -> dict:
    """The settings of a stage of pre-training, with the models where the job finds them."""
    settings = dict(snakemake.params.settings)
    for section, place in snakemake.params.models.items():
        if section in settings:
            settings[section] = settings[section] | place
    return settings
