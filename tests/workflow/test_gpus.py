"""What a profile says about a rule reaches its jobs, those of packs included."""

import ast

import pandas as pd
import pytest
import yaml

from tests.workflow.command import snakemake

RUN = "results/small/models/words/finetune-bert-2-margin0.3"


@pytest.fixture(scope="module")
def finished(encoders, task, tmp_path_factory):
    """The folder of one regularised run, in packs of one, with resources given on the way."""
    folder = tmp_path_factory.mktemp("gpus")
    for split, table in task.splits.items():
        table.drop(columns="text_pair").to_csv(folder / f"{split}.csv", index=False)
    config = {
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
            "cascade": {
                "method": "cascade",
                "title": "CascadeBERT",
                "members": ["bert-2", "bert-4"],
                "dar": True,
            }
        },
        "proposed": "cascade",
        "replicates": 2,
        "pack": 1,
        "difficulty": {"folds": 2, "seeds": 1, "margins": [0.3]},
        "training": {"epochs": 1, "learning_rate": 3.0e-3, "batch_size": 16},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    given = ["label_runs:gpu_slot=1", "train:gpu_slot=1", "train_1:gpu_slot=2"]
    result = snakemake(
        folder,
        *(f"{RUN}/seed{seed}" for seed in (0, 1)),
        *("--configfile", str(path)),
        *("--set-resources", *given),
        *("--set-threads", "label_runs=2"),
        "--benchmark-extended",
    )
    assert result.returncode == 0, result.stderr
    return folder


def test_every_pack_takes_what_is_set_for_its_rule(finished):
    measured = [pd.read_csv(p, sep="\t") for p in finished.rglob("benchmarks/**/*.tsv")]
    jobs = pd.concat(measured).set_index("rule_name")
    slots = {rule: ast.literal_eval(r).get("gpu_slot") for rule, r in jobs["resources"].items()}
    assert slots == {
        "prepare_task": None,
        "tokenize_task": None,
        "label_runs_0": 1,
        "label_runs_1": 1,
        "difficulty": None,
        "train_0": 1,
        "train_1": 2,  # who names one pack means it
    }
    assert jobs.loc[["label_runs_0", "label_runs_1", "train_0"], "threads"].tolist() == [2, 2, 1]
