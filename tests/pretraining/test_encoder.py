"""An interrupted training of an encoder goes on, unless anything that it depends on changed."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from cascadebert.core.checksums import list_visible
from cascadebert.pretraining import objectives
from cascadebert.pretraining.encoder import EncoderJob, make_encoder
from cascadebert.pretraining.vocabulary import Tokens, train_wordpiece
from cascadebert.training.store import Store
from tests.pretraining.test_pretraining import prose

pytestmark = pytest.mark.slow

SHAPE = {"width": 16, "heads": 2, "intermediate": 32, "positions": 64}
SCHEDULE = {"tokens": 6000, "batch_tokens": 512, "learning_rate": 0.003}
SETTINGS = {
    "layers": 1,
    "shallower": None,
    "encoder": SHAPE,
    "objectives": {"mlm": 1.0},
    "schedule": SCHEDULE,
    "held_out": 20,
    "precision": "fp32",
}


@pytest.fixture
def job(tmp_path, caplog) -> EncoderJob:
    caplog.set_level(logging.INFO, "cascadebert")
    tokenizer = train_wordpiece(prose(300), 120, 64)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    for name, seed in (("tokens", 0), ("others", 1)):
        Tokens.of(prose(240, seed), tokenizer, 32).save(tmp_path / f"{name}.npz")
    return EncoderJob(
        settings=SETTINGS,
        seed=0,
        tokenizer=tmp_path / "tokenizer",
        tokens=tmp_path / "tokens.npz",
        shards=[],
        space=None,
        shallower=None,
    )


def change(job: EncoderJob, what: str) -> EncoderJob:
    if what == "texts":
        return replace(job, tokens=Path(job.tokens).with_name("others.npz"))
    if what == "seed":
        return replace(job, seed=1)
    changes = {
        "width": {"encoder": SHAPE | {"width": 32}},
        "learning rate": {"schedule": SCHEDULE | {"learning_rate": 0.001}},
        "length": {"schedule": SCHEDULE | {"tokens": 3000}},
    }
    return replace(job, settings=SETTINGS | changes[what])


def make(job: EncoderJob, folder: Path) -> dict[str, bytes]:
    """Trains the encoder in `folder`; returns the files that this makes."""
    outputs = {name: folder / name for name in ("student", "curve", "model")}
    make_encoder(job, Store(folder / "store", save_seconds=0), **outputs)
    files = [path for name in outputs for path in list_visible(folder / name)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def interrupt(job: EncoderJob, folder: Path, monkeypatch) -> None:
    """Trains for a few steps, the first of which saves its state."""
    total, calls = objectives.weigh_losses, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return total(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(objectives, "weigh_losses", stop)
        with pytest.raises(KeyboardInterrupt):
            make(job, folder)


@pytest.mark.parametrize("what", ["width", "learning rate", "length", "texts", "seed"])
def test_the_state_of_another_training_is_not_gone_on_from(
    job, tmp_path, monkeypatch, caplog, what
):
    interrupt(job, tmp_path / "run", monkeypatch)
    changed = change(job, what)
    found = make(changed, tmp_path / "run")
    assert "going on from" not in caplog.text
    assert found == make(changed, tmp_path / "elsewhere")


def test_a_training_goes_on_after_another_was_tried(job, tmp_path, monkeypatch, caplog):
    interrupt(job, tmp_path / "run", monkeypatch)
    interrupt(change(job, "learning rate"), tmp_path / "run", monkeypatch)
    found = make(job, tmp_path / "run")
    assert caplog.text.count("going on from") == 1
    assert found == make(job, tmp_path / "elsewhere")


def test_whatever_a_training_reads_changes_its_key(tmp_path):
    names = ["tokenizer/tokenizer.json", "tokens.npz", "0000/tokens.npy", "0001/tokens.npy"]
    names += ["space.npz", "teacher/model.safetensors", "student/model.safetensors"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"one")
    job = EncoderJob(
        settings=SETTINGS | {"teacher": {"model": str(tmp_path / "teacher"), "shards": 2}},
        seed=0,
        tokenizer=tmp_path / "tokenizer",
        tokens=tmp_path / "tokens.npz",
        shards=[tmp_path / "0000", tmp_path / "0001"],
        space=tmp_path / "space.npz",
        shallower=tmp_path / "student",
    )
    seen = {job.key}
    (tmp_path / "tokenizer/.snakemake_timestamp").touch()
    assert {job.key} == seen
    for name in names:
        (tmp_path / name).write_bytes(b"other")
        seen.add(job.key)
    assert len(seen) == 1 + len(names)
