import shutil
from functools import partial

import pytest

from cascadebert.core.sources import LIBRARY, find_sources
from cascadebert.systems.method import Run
from cascadebert.training import records, stages, store
from cascadebert.training.store import Store, fingerprint
from tests.tiny import SETTINGS


def test_a_training_is_done_once_and_outlives_its_output(tmp_path):
    calls = []

    def make(draft, checkpoint):
        calls.append(draft)
        draft.mkdir()
        (draft / "weights").write_text("trained")

    for _ in range(2):
        output = tmp_path / "models" / "seed0"
        Store(tmp_path / "store").once("key", output, make)
        assert (output / "weights").read_text() == "trained"
        (output / "weights").unlink()  # as Snakemake does before it runs a job again
        output.rmdir()
    assert len(calls) == 1
    Store(tmp_path / "store").once("another key", tmp_path / "other", make)
    assert len(calls) == 2


def test_what_fails_leaves_nothing(tmp_path):
    def make(draft, checkpoint):
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Store(tmp_path / "store").once("key", tmp_path / "out", make)
    assert list((tmp_path / "store").iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_whatever_goes_in_changes_the_fingerprint(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    tokens = tmp_path / "train.npz"
    tokens.write_bytes(b"tokens")

    def current(**changes):
        return fingerprint({"run": "finetune", "epochs": 3} | changes, [tokens, folder], [])

    first = current()
    (folder / ".snakemake_timestamp").touch()
    (folder / "machine.json").write_text('{"cpu": "another"}')
    assert current() == first
    seen = {first, current(epochs=4)}
    tokens.write_bytes(b"other tokens")
    seen.add(current())
    (folder / "model.safetensors").write_bytes(b"other weights")
    seen.add(current())
    (folder / "model.safetensors").rename(folder / "renamed.safetensors")
    seen.add(current())
    monkeypatch.setattr(store, "package_versions", lambda: "another torch")
    seen.add(current())
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("kind", "method", "rests_on_it"),
    [
        ("training", "linear", True),
        ("training", "finetune", False),
        ("training", "deebert", False),
        ("labelling", "finetune", True),  # for its folds
    ],
)
def test_what_scikit_learn_computes_is_named_by_its_version(
    kind, method, rests_on_it, monkeypatch, tmp_path, task, encoders
):
    for split in ("train", "dev"):
        (tmp_path / f"{split}.npz").write_bytes(b"tokens")
    common = {"task": task, "tokens": tmp_path, "run": Run(method, "bert-2"), "seed": 0}
    common |= {"encoder": encoders["bert-2"], "settings": SETTINGS, "replicate": 0}
    if kind == "training":
        job = stages.TrainingJob(**common)
    else:
        job = stages.LabellingJob(**common, fold=0, folds=2)
    before, version = job.key, records.version
    monkeypatch.setattr(
        records, "version", lambda name: "0" if name == "scikit-learn" else version(name)
    )
    assert (job.key != before) == rests_on_it


@pytest.mark.parametrize(
    ("changed", "trains_again"),
    [
        ("training/loop.py", True),
        ("training/losses.py", True),
        ("training/stages.py", True),
        ("models/pkd.py", True),
        ("models/kd.py", True),  # PKD is built on it
        ("encoders/loading.py", True),
        ("models/theseus.py", False),
        ("systems/pkd.py", False),
        ("evaluation/points.py", False),
        ("reporting/tables.py", False),
        ("experiment/configuration.py", False),
        ("data/hub.py", False),
        ("training/gpus.py", False),
    ],
)
def test_only_code_that_a_training_runs_changes_its_fingerprint(
    tmp_path, monkeypatch, changed, trains_again
):
    copy = tmp_path / "cascadebert"
    shutil.copytree(LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(store, "LIBRARY", copy)
    monkeypatch.setattr(store, "find_sources", partial(find_sources, library=copy))
    modules = ["cascadebert.training.stages", "cascadebert.models.pkd"]
    before = fingerprint({}, [], modules)
    with (copy / changed).open("a") as file:
        file.write("# another comment\n")
    assert (fingerprint({}, [], modules) != before) == trains_again


def test_a_moved_encoder_is_not_another(tmp_path, task, encoders):
    for split in ("train", "dev"):
        (tmp_path / f"{split}.npz").write_bytes(b"tokens")
    moved = shutil.copytree(encoders["bert-2"], tmp_path / "moved")
    common = {"task": task, "tokens": tmp_path, "run": Run("finetune", "bert-2"), "seed": 0}
    common |= {"settings": SETTINGS, "replicate": 0}
    before, after = (
        stages.TrainingJob(**common, encoder=folder).key for folder in (encoders["bert-2"], moved)
    )
    assert after == before
    (moved / "config.json").write_text("{}")
    assert stages.TrainingJob(**common, encoder=moved).key != before


def test_a_training_job_is_named_by_its_method_and_the_stages(
    monkeypatch, tmp_path, task, encoders
):
    """The modules that `stages` names are those that a training runs."""
    seen = []
    monkeypatch.setattr(
        stages, "fingerprint", lambda *_, modules, packages: seen.extend(modules) or ""
    )
    job = stages.TrainingJob(
        task=task,
        tokens=tmp_path,
        run=Run("kd", "bert-2"),
        encoder=encoders["bert-2"],
        seed=0,
        settings=SETTINGS,
        replicate=0,
    )
    assert job.key == ""
    assert seen == ["cascadebert.training.stages", "cascadebert.models.kd"]
