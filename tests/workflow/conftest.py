"""The small experiment that several tests run, in one way or another."""

import subprocess
from pathlib import Path

import pytest
import yaml

from cascadebert.data.task import Task
from tests.conftest import made_once
from tests.workflow.command import snakemake


def read_all(folder: Path) -> dict[str, bytes]:
    """The bytes of all predictions in a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.npz"))}


@pytest.fixture(scope="session")
def config(encoders, task) -> dict:
    return small(encoders, task)


def small(encoders: dict[str, str], task: Task) -> dict:
    """A small experiment on CSV files, with every system of the default."""
    cascade = {"method": "cascade", "members": ["bert-2", "bert-4"]}
    return {
        "experiment": "small",
        "tasks": {
            "words": {
                "source": {"files": {split: f"{split}.csv" for split in task.splits}},
                "columns": {"id": "id", "text": "text", "label": "label"},
                "labels": task.labels,
            }
        },
        "encoders": {
            "bert-2": {"model": encoders["bert-2"], "tokenizer": "bert-4"},
            "bert-4": encoders["bert-4"],
        },
        "reference": "bert-4",
        "systems": {
            "bert-4l": {"method": "finetune", "title": "BERT-4L", "encoder": "bert-4"},
            "bert-2l": {"method": "finetune", "title": "BERT-2L", "encoder": "bert-4", "layers": 2},
            "deebert": {"method": "deebert", "title": "DeeBERT", "encoder": "bert-4"},
            "pabee": {"method": "pabee", "title": "PABEE", "encoder": "bert-4"},
            "cascadebert": {**cascade, "title": "CascadeBERT", "dar": True},
            "plain": {**cascade, "title": "CascadeBERT w/o DAR", "ablation_of": "cascadebert"},
        },
        "replicates": 2,
        "difficulty": {"folds": 2, "seeds": 2, "margins": [0.1, 0.5]},
        "training": {"epochs": 2, "learning_rate": 3e-3, "batch_size": 16, "max_length": 64},
        "evaluation": {"targets": [1.5, 2], "resamples": 200},
    }


def write(folder: Path, config: dict, task) -> Path:
    for split, table in task.splits.items():
        table.drop(columns="text_pair").to_csv(folder / f"{split}.csv", index=False)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory, config, task) -> Path:
    """A worker's own copy of the finished experiment, since some tests go on with it."""

    def run(folder: Path) -> None:
        result = snakemake(folder, "--configfile", str(write(folder, config, task)))
        assert result.returncode == 0, result.stderr

    once = made_once(tmp_path_factory, "finished", run)
    return copy(once, tmp_path_factory.mktemp("own") / "finished")


def copy(folder: Path, to: Path) -> Path:
    """As it is, with what models and store share."""
    to.mkdir(exist_ok=True)
    subprocess.run(["cp", "--archive", f"{folder}/.", str(to)], check=True)
    return to
