"""`snakemake submission` on a small task in GLUE's layout, whose test split has all 3,000 rows."""

import zipfile

import numpy as np
import pytest
import yaml

from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import score
from cascadebert.evaluation.choice import Choice
from cascadebert.systems.exits import CONFIDENCES
from tests.tiny import sentences
from tests.workflow.command import planned, snakemake

LABELS = np.array(["entailment", "not_entailment"])


def split(rows: int, seed: int, labelled: bool) -> str:
    """A .tsv file of GLUE's RTE: sentences that agree in sentiment, or do not."""
    one, two = sentences(rows, seed), sentences(rows, seed + 100)
    lines = ["index\tsentence1\tsentence2" + "\tlabel" * labelled]
    for row in range(rows):
        label = LABELS[int(one["label"][row] != two["label"][row])]
        fields = [str(row), one["text"][row], two["text"][row], *([label] if labelled else [])]
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    """The folder of RTE's files."""
    folder = tmp_path_factory.mktemp("glue") / "RTE"
    folder.mkdir()
    for seed, (name, rows) in enumerate({"train": 96, "dev": 64, "test": 3_000}.items()):
        (folder / f"{name}.tsv").write_text(split(rows, seed, name != "test"))
    return folder


@pytest.fixture
def config(tmp_path, glue, encoders):
    """The path of an experiment on RTE, and its content."""
    values = {
        "experiment": "small",
        "tasks": {"rte": {"source": {"glue": "RTE", "folder": str(glue)}}},
        "encoders": {
            "bert-2": {"model": encoders["bert-2"], "tokenizer": "bert-4"},
            "bert-4": encoders["bert-4"],
        },
        "reference": "bert-4",
        "systems": {
            "plain": {"method": "cascade", "title": "Cascade", "members": ["bert-2", "bert-4"]}
        },
        "proposed": "plain",
        "replicates": 2,
        "training": {"epochs": 1, "learning_rate": 3.0e-3, "max_length": 64},
        "evaluation": {"targets": [1, 1.5], "resamples": 100},
        "submission": {"system": "plain", "speedup": 1.5},
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values))
    return path, values


def test_it_writes_what_the_server_takes(tmp_path, config):
    result = snakemake(tmp_path, "submission", "--configfile", str(config[0]))
    assert result.returncode == 0, result.stderr
    results = tmp_path / "results" / "small"
    with zipfile.ZipFile(results / "submission" / "plain-1.5x.zip") as archive:
        assert len(archive.namelist()) == 11
        header, *lines = archive.read("RTE.tsv").decode().splitlines()
        assert archive.read("WNLI.tsv").decode().splitlines()[1:] == [f"{i}\t0" for i in range(146)]
    assert header == "index\tprediction"

    mixtures = Choice.load(results / "evaluation/rte/choices/plain.json").mixtures[1.5]
    answers, scores = [], []
    for replicate, mixture in enumerate(mixtures):

        def predictions(split, replicate=replicate):
            small, large = (
                Predictions.load(
                    results / f"predictions/rte/finetune-{encoder}/seed{replicate}/{split}.npz"
                )
                for encoder in ("bert-2", "bert-4")
            )
            return small.followed_by(large)

        dev, test = (predictions(split) for split in ("dev", "test"))
        on_dev, on_test = (
            [
                p.predicted[np.arange(len(p.ids)), CONFIDENCES.exit_index(p, knob)]
                for knob in mixture.knobs
            ]
            for p in (dev, test)
        )
        parts = [score("accuracy", emitted, dev.labels) for emitted in on_dev]
        scores.append(np.dot(mixture.chances, parts))
        answers.append(on_test)
    # A coin picks one of the two answers for each row.
    best = LABELS[np.array(answers[int(np.argmax(scores))])]
    for row, (line, *either) in enumerate(zip(lines, *best, strict=True)):
        assert line in {f"{row}\t{label}" for label in either}


def test_it_is_there_only_if_it_is_asked_for(tmp_path, config):
    path, values = config
    del values["submission"]
    path.write_text(yaml.safe_dump(values))
    assert "submission" not in planned(tmp_path, "--configfile", str(path))
    result = snakemake(tmp_path, "submission", "--dry-run", "--configfile", str(path))
    assert "MissingRuleException" in result.stderr + result.stdout


def test_tasks_that_are_not_glues_are_refused_before_any_job(tmp_path, config, glue):
    path, values = config
    files = {split: str(glue / f"{split}.tsv") for split in ("train", "dev")}
    values["tasks"]["rte"] = {
        "source": {"files": files},
        "columns": {"text": "sentence1", "text_pair": "sentence2", "label": "label"},
        "labels": LABELS.tolist(),
    }
    path.write_text(yaml.safe_dump(values))
    result = snakemake(tmp_path, "submission", "--dry-run", "--configfile", str(path))
    assert result.returncode != 0
    assert "none of the tasks (rte) is one of these" in result.stderr + result.stdout
