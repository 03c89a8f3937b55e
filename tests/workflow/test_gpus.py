"""profiles/gpu: what it says about a rule reaches its jobs, which take GPUs that are only names."""

import ast
import re

import pandas as pd
import pytest

from tests.workflow.command import ROOT, snakemake
from tests.workflow.conftest import write

RUN = "results/small/models/words/finetune-bert-2-margin0.5"


@pytest.fixture(scope="module")
def trained(config, task, tmp_path_factory):
    """The folder of one regularised run, in packs of one, on a machine with two GPUs."""
    folder = tmp_path_factory.mktemp("gpus")
    changed = {
        "pack": 1,
        "difficulty": {"folds": 2, "seeds": 1, "margins": [0.5]},
        "training": {**config["training"], "epochs": 1},
    }
    path = write(folder, {**config, **changed}, task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
        patch.setenv("TMPDIR", str(folder))  # others' locks are no business of this test
        result = snakemake(
            folder,
            *(f"{RUN}/seed{seed}" for seed in (0, 1)),
            *("--configfile", str(path)),
            *("--profile", str(ROOT / "profiles" / "gpu")),
            *("--set-threads", "label_runs=2", "train_1=2"),
            "--benchmark-extended",
        )
    assert result.returncode == 0, result.stderr
    return folder


def test_every_pack_takes_what_is_set_for_its_rule(trained):
    measured = [pd.read_csv(p, sep="\t") for p in trained.rglob("benchmarks/**/*.tsv")]
    jobs = pd.concat(measured).set_index("rule_name")
    slots = {rule: ast.literal_eval(r).get("gpu_slot") for rule, r in jobs["resources"].items()}
    trainings = ["label_runs_0", "label_runs_1", "train_0", "train_1"]
    others = ["prepare_task", "tokenize_task", "difficulty"]
    assert slots == dict.fromkeys(trainings, 1) | dict.fromkeys(others)
    assert jobs.loc[trainings, "threads"].tolist() == [2, 2, 1, 2]


def test_only_trainings_take_a_gpu(trained):
    logs = trained / "results" / "small" / "logs"
    taken = {p: re.findall(r"GPU (GPU-\w)$", p.read_text(), re.M) for p in logs.rglob("*.log")}
    trainings = [*logs.rglob("label_runs/**/*.log"), *logs.rglob("train/**/*.log")]
    assert len(trainings) == 4
    assert all(len(taken.pop(path)) == 1 for path in trainings)
    assert taken
    assert not any(taken.values())


def test_a_job_for_which_there_is_no_gpu_says_so(trained, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = snakemake(
        trained,
        "results/small/models/words/finetune-bert-4/seed0",
        *("--configfile", str(trained / "small.yaml")),
        *("--profile", str(ROOT / "profiles" / "gpu")),
    )
    assert result.returncode != 0
    assert "Error: the job is to have a GPU of its own, but this machine has none" in result.stderr
    assert "Traceback" not in result.stderr
