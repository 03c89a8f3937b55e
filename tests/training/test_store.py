import pytest

from cascadebert.training import store
from cascadebert.training.store import Store, fingerprint


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
        return fingerprint({"run": "finetune", "epochs": 3} | changes, [tokens, folder])

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
    monkeypatch.setattr(store, "code_version", lambda: "another torch")
    seen.add(current())
    assert len(seen) == 6
