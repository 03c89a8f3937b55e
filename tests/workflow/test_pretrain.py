"""`snakemake pretrain` on a small corpus, end to end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from transformers import AutoModel, AutoTokenizer

from tests.pretraining.test_pretraining import prose
from tests.workflow.command import options, planned, snakemake


def settings(teacher: str) -> dict:
    return {
        "family": "made/tiny",
        "corpora": [
            {"file": "a.txt.gz"},
            {"file": "b.jsonl", "field": "body", "sentences": 150},
        ],
        "characters": [12, 200],
        "vocabulary": {"size": 120},
        "max_tokens": 32,
        "held_out": 20,
        "encoder": {"width": 16, "heads": 2, "intermediate": 32, "positions": 64},
        "teacher": {"model": teacher, "layer": 3, "sentences": 300, "shards": 2},
        "objectives": {"mlm": 0.2, "sentence": 1.0, "words": 1.0},
        "depths": [{"layers": 1, "tokens": 20000}, {"layers": 3, "tokens": 20000}],
        "stacking": True,
        "schedule": {"batch_tokens": 512, "learning_rate": 0.003},
        "precision": "fp32",
        "card": {
            "licence": "mit",
            "data": ["sentences made by the tests"],
            "teacher": "a random BERT",
            "command": "snakemake pretrain",
        },
    }


def prepared(folder: Path, pretraining: dict, first: list[str], second: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    pd.Series(first).to_csv(folder / "a.txt.gz", index=False, header=False)
    rows = "".join(json.dumps({"body": sentence}) + "\n" for sentence in second)
    (folder / "b.jsonl").write_text(rows)
    config = {"experiment": "family", "seed": 1, "save_seconds": 0.05, "pretraining": pretraining}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def command(folder: Path) -> list[str]:
    config = ("--configfile", str(folder / "config.yaml"))
    return [sys.executable, "-m", "snakemake", "pretrain", *options(folder), *config]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    config = ("--configfile", str(folder / "config.yaml"))
    return snakemake(folder, "pretrain", *config, *arguments)


def made(folder: Path) -> dict[str, bytes]:
    models = folder / "made"
    return {str(p.relative_to(models)): p.read_bytes() for p in sorted(models.rglob("*.*"))}


@pytest.fixture(scope="module")
def whole(encoders, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain") / "whole"
    prepared(folder, settings(encoders["bert-4"]), prose(200), prose(200, seed=1))
    result = run(folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_the_same_settings_train_nothing(whole):
    assert planned(whole, "pretrain", "--configfile", str(whole / "config.yaml")) == {}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("schedule", {"batch_tokens": 512, "learning_rate": 0.001}, {"pretrain_encoder": 2}),
        ("objectives", {"mlm": 1.0, "sentence": 1.0, "words": 1.0}, {"pretrain_encoder": 2}),
        ("vocabulary", {"size": 110}, {"pretrain_vocabulary": 1, "pretrain_encoder": 2}),
        ("characters", [12, 150], {"pretrain_corpus": 1, "pretrain_encoder": 2}),
    ],
)
def test_other_settings_train_anew(whole, encoders, key, value, expected, tmp_path):
    config = yaml.safe_load((whole / "config.yaml").read_text())
    path = tmp_path / "config.yaml"
    config["pretraining"][key] = value
    path.write_text(yaml.safe_dump(config))
    jobs = planned(whole, "pretrain", "--configfile", str(path))
    assert expected.items() <= jobs.items()


def test_it_makes_complete_encoders_with_cards(whole):
    for layers in (1, 3):
        folder = whole / f"made/tiny-{layers}x16"
        model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        assert model.config.num_hidden_layers == layers
        assert model.pooler is not None
        assert len(tokenizer) == model.config.vocab_size == 120
        card = (folder / "README.md").read_text()
        for fact in ("license: mit", "made by the tests", "a random BERT", "300 sentences", "0."):
            assert fact in card
    curves = [
        pd.read_csv(whole / f"results/family/pretraining/layers-{n}/curve.csv") for n in (1, 3)
    ]
    for curve in curves:
        assert curve["tokens"].iloc[-1] >= 20000
    # The deeper one starts from what the shallower one has learnt.
    assert curves[1]["words"].iloc[0] < 0.9 * curves[0]["words"].iloc[0]


def test_another_run_after_a_kill_makes_the_same_bytes(whole, tmp_path):
    """The deeper training is killed once it has saved its state."""
    folder = tmp_path / "killed"
    folder.mkdir()
    for name in ("a.txt.gz", "b.jsonl", "config.yaml"):
        shutil.copy2(whole / name, folder)
    target = "results/family/pretraining/layers-1/model"
    shallower = snakemake(folder, target, "--configfile", str(folder / "config.yaml"))
    assert shallower.returncode == 0, shallower.stderr
    store = folder / "results/family/store"
    process = subprocess.Popen(
        command(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 600
    while not any(store.glob("*.state.safetensors")):
        assert process.poll() is None, "it ended before it saved a state"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "made/tiny-3x16").exists()
    unlocked = run(folder, "--unlock")
    assert unlocked.returncode == 0, unlocked.stderr
    result = run(folder, "--rerun-incomplete")
    assert result.returncode == 0, result.stderr
    log = (folder / "results/family/logs/pretrain_encoder/3.log").read_text()
    assert "going on from" in log
    assert made(folder) == made(whole)
    assert not any(store.glob("*.state.safetensors"))


def test_it_starts_from_the_teachers_layers(encoders, tmp_path):
    changed = settings("teacher") | {
        "vocabulary": {"from": "teacher"},
        "encoder": {"width": 32, "heads": 2, "intermediate": 64, "positions": 66},
        "objectives": {"words": 1.0},
        "depths": [{"layers": 4, "tokens": 500}],
        "start": "teacher",
        "stacking": False,
    }
    changed["teacher"] = {"model": "teacher", "shards": 1}
    folder = prepared(tmp_path / "started", changed, prose(200), prose(200, seed=1))
    shutil.copytree(encoders["bert-4"], folder / "teacher")
    result = run(folder)
    assert result.returncode == 0, result.stderr
    curve = pd.read_csv(folder / "results/family/pretraining/layers-4/curve.csv")
    assert curve["words"].iloc[0] < 1e-4  # with all layers it is the teacher
    assert "Tables and figures are in" not in result.stdout + result.stderr
    assert "evenly spaced layers" in (folder / "made/tiny-4x32/README.md").read_text()

    # Another teacher in the same place: what it says is found out anew.
    assert "Nothing to be done" in run(folder, "--dry-run").stdout
    with (folder / "teacher/config.json").open("a") as stream:
        stream.write("\n")
    assert "pretrain_teacher" in run(folder, "--dry-run").stdout


def test_it_refuses_a_corpus_that_cannot_do(encoders, tmp_path):
    folder = prepared(tmp_path / "bad", settings(encoders["bert-4"]), [], prose(5))
    result = run(folder)
    assert result.returncode != 0
    assert "Error: corpus a.txt.gz adds no sentence: it is empty" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_settings_are_refused_before_any_job(encoders, tmp_path):
    changed = settings(encoders["bert-4"])
    changed["objectives"] = {"tokens": 1.0}
    result = run(prepared(tmp_path / "bad", changed, ["A."], ["B."]), "--dry-run")
    assert result.returncode != 0
    assert "pretraining.objectives" in result.stdout + result.stderr


def test_the_teacher_is_there_when_its_vocabulary_is_compared(tmp_path):
    changed = settings("some/teacher") | {"vocabulary": {"from": "some/other"}, "start": "teacher"}
    folder = prepared(tmp_path / "planned", changed, prose(20), prose(20, seed=1))
    target = "results/family/pretraining/tokenizer"
    jobs = planned(folder, target, "--configfile", str(folder / "config.yaml"))
    assert jobs["fetch_encoder"] == 2
