import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from cascadebert.core.errors import UserError
from cascadebert.reporting import provenance as module
from cascadebert.reporting.provenance import (
    collect_provenance,
    describe_code,
    list_packages,
    table_provenance,
)
from cascadebert.reporting.typeset import to_markdown
from cascadebert.systems.method import Run
from cascadebert.training import records, stages
from cascadebert.training.difficulty import combine_answers
from cascadebert.training.records import describe_machine, describe_origin
from cascadebert.training.stages import (
    Job,
    LabellingJob,
    TrainingJob,
    label_run,
    predict_run,
    train_run,
)
from cascadebert.training.store import Store
from cascadebert.training.tokenizing import tokenize_task
from tests.tiny import SETTINGS

SMALL = Run("finetune", "bert-2")
OF_A_GPU = {"cpu": "Other", "gpu": "H100", "precision": "bfloat16", "torch": "2", "code": "x"}


@pytest.fixture(scope="module")
def made(tmp_path_factory, task, encoders) -> Path:
    """Data, two difficulty trainings, one model and its predictions; all but a label made here."""
    folder = tmp_path_factory.mktemp("made")
    task.save(folder / "data/words")
    tokens = folder / "tokens"
    tokenize_task(task, encoders["bert-2"], 64, tokens)
    store, encoder = Store(folder / "store"), encoders["bert-2"]
    common = {"task": task, "tokens": tokens, "run": SMALL, "encoder": encoder}
    settings = SETTINGS.__class__(**{**vars(SETTINGS), "epochs": 1})
    for fold in range(2):
        with pytest.MonkeyPatch.context() as patch:
            if fold == 1:
                patch.setattr(stages, "describe_machine", lambda precision: OF_A_GPU)
            out = folder / f"fold{fold}.parquet"
            number = {"fold": fold, "folds": 2, "replicate": 0}
            label_run(LabellingJob(**common, seed=1, settings=settings, **number), store, out)
    models = folder / "models/words/finetune-bert-2/seed0"
    train_run(TrainingJob(**common, seed=1, settings=settings, replicate=0), store, models)
    out = folder / "predictions/words/finetune-bert-2/seed0"
    predict_run(Job(**common, seed=7), models, reference=encoder, max_length=64, folder=out)
    return folder


@pytest.fixture
def record(made, encoders, tmp_path):
    large = tmp_path / "google-bert--bert-base-uncased"
    large.mkdir()
    about = {"model": "google-bert/bert-base-uncased", "commit": "c0ffee"}
    (large / "hub.json").write_text(json.dumps(about))

    def make():
        return collect_provenance(
            config={"experiment": "small", "seed": 7},
            data=[made / "data/words"],
            encoders={"bert-2": encoders["bert-2"], "large": large},
            predictions=[made / "predictions/words/finetune-bert-2/seed0"],
            labels=[made / f"fold{fold}.parquet" for fold in range(2)],
        )

    return make


def sha(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_it_has_the_checksums_of_data_encoders_and_models(record, made, encoders):
    found = record()
    assert found["data"]["words"]["dev"]["sha256"] == sha(made / "data/words/dev.parquet")
    assert found["data"]["words"]["dev"]["source"] == "written by the tests"
    weights = Path(encoders["bert-2"], "model.safetensors")
    assert found["encoders"]["bert-2"]["sha256"]["model.safetensors"] == sha(weights)
    trained = made / "models/words/finetune-bert-2/seed0/model.safetensors"
    assert found["models"] == {
        "words/finetune-bert-2/seed0": {"model.safetensors": sha(trained)},
    }


def test_it_counts_the_machines_that_trained(record):
    found = record()
    mine = describe_machine("fp32")
    assert mine["cpu"]
    assert mine["precision"] == "float32"
    assert found["models_trained_on"] == [{**mine, "count": 1}]
    counted = found["difficulty_labels_trained_on"]
    assert sorted(about["cpu"] for about in counted) == sorted([mine["cpu"], "Other"])
    assert {**OF_A_GPU, "count": 1} in counted
    assert found["predicted_on"] == [{**mine, "count": 1}]


def test_what_is_missing_is_there_if_something_is(record):
    assert record()["missing"] == []
    assert "Missing" not in set(table_provenance(record())[0]["what"])


def test_it_is_the_same_whenever_it_is_written(record):
    assert json.dumps(record()) == json.dumps(record())


def test_the_machine_is_no_part_of_difficulty_labels(made, task):
    """Labels of folds that were trained elsewhere are those that are trained here."""
    ids = task.splits["train"]["id"].to_numpy(dtype=str)
    table = combine_answers([made / f"fold{fold}.parquet" for fold in range(2)], ids)
    assert table.attrs == {}


def test_results_of_a_version_that_noted_no_machine_are_said_to_be_so(record, made):
    noted = made / "predictions/words/finetune-bert-2/seed0/origin.json"
    text = noted.read_text()
    noted.unlink()
    try:
        found = record()
        assert found["models_trained_on"] == [{"count": 1}]
        assert "1 model: not noted" in to_markdown(table_provenance(found)[1])
        noted.write_text(text[: len(text) // 2])
        with pytest.raises(UserError, match=r"origin\.json is damaged .*; delete the folder"):
            record()
    finally:
        noted.write_text(text)
    (Path(made, "bare")).mkdir()
    assert describe_origin(made / "bare")["trained"] is None


def test_the_table_says_it_in_short(record):
    found = record()
    found["code"] = {"commit": "0123456789abcdef", "changed": ["rules/x.smk"], "library": "abc"}
    found["packages"]["numpy"] = {"pinned": "2.0.0", "here": "1.9.9"}
    found["packages"]["torch"] = {"pinned": "2.0.0", "here": "2.0.0+cpu"}
    found["missing"] = ["Not run on words: PABEE."]
    found["machine"] = {"cpu": "C", "cores": 4, "memory_gib": 8.0, "gpus": ["G", "G"]}
    frame, display = table_provenance(found)
    said = dict(frame.itertuples(index=False))
    assert (
        said["Code"] == "commit 0123456789ab, and uncommitted changes in rules/x.smk; library abc"
    )
    assert said["Packages"].endswith("unlike requirements.txt: numpy 1.9.9")
    assert said["This page made on"] == "C, 4 cores, 8 GiB, 2 × G"
    assert said["Missing"] == "Not run on words: PABEE."
    assert said["Seeds"].startswith("7,")
    assert "1 training: Other, H100, bfloat16, torch 2, library x" in said["Difficulty labels from"]
    assert said["Data: words"] == "train 320, dev 80, test 120\nwritten by the tests"
    assert said["Encoder: large"] == "google-bert/bert-base-uncased of the hub, commit c0ffee"
    page = to_markdown(display)
    assert not any(len(word) == 64 for word in page.split())  # no checksum


@pytest.mark.slow
def test_it_knows_the_commit_and_what_was_changed_since(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True)

    (tmp_path / "cascadebert").mkdir()
    (tmp_path / "Snakefile").write_text("one")
    monkeypatch.setattr(module, "WORKFLOW_FOLDER", tmp_path)
    nothing = {"commit": None, "changed": None, "library": records.identify_code()}
    assert describe_code() == nothing
    git("init", "--quiet")
    assert describe_code() == nothing  # a history, but not of this code
    git("add", "Snakefile")
    assert describe_code() == nothing  # nothing committed yet
    git("commit", "--quiet", "--message", "one")
    clean = describe_code()
    assert len(clean["commit"]) == 40
    assert clean["changed"] == []
    (tmp_path / "Snakefile").write_text("two")
    (tmp_path / "cascadebert/new.py").write_text("new")
    (tmp_path / "data.csv").write_text("not code")
    assert describe_code()["changed"] == ["Snakefile", "cascadebert/"]
    monkeypatch.setenv("PATH", "")
    assert describe_code() == nothing


def test_every_pinned_package_is_looked_up():
    found = list_packages()
    assert found["torch"]["here"].startswith(found["torch"]["pinned"].split(".")[0])
    assert {"numpy", "snakemake", "transformers"} <= set(found)
