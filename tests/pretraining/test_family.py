"""A finished encoder is put in its place in the family, beside what a user has there."""

import shutil
from pathlib import Path

import pytest
from transformers import AutoModel, BertModel

from cascadebert.pretraining import family
from cascadebert.pretraining.encoder import write_model
from cascadebert.pretraining.student import make_encoder_config
from cascadebert.pretraining.vocabulary import Tokens, train_wordpiece
from tests.pretraining.test_pretraining import SHAPE, prose

pytestmark = pytest.mark.slow

SETTINGS = {
    "objectives": {"mlm": 1.0},
    "held_out": 20,
    "max_tokens": 32,
    "depths": [{"layers": 1, "tokens": 500}],
    "stacking": False,
    "card": {"licence": "mit", "data": ["sentences made by the tests"], "command": "make it"},
}


@pytest.fixture
def trained(tmp_path) -> list[Path]:
    """A trained encoder, its learning curve and its tokens."""
    sentences = prose(300)
    tokenizer = train_wordpiece(sentences, 120, 64)
    encoder = BertModel(make_encoder_config(tokenizer, 1, SHAPE))
    write_model(encoder, tokenizer, tmp_path / "model", has_pooler=True)
    (tmp_path / "model/.snakemake_timestamp").touch()
    (tmp_path / "curve.csv").write_text("tokens,mlm\n0,4.5\n500,3.25\n")
    Tokens.of(sentences, tokenizer, 32).save(tmp_path / "tokens.npz")
    return [tmp_path / name for name in ("model", "curve.csv", "tokens.npz")]


@pytest.fixture
def place(tmp_path) -> Path:
    """The encoder's place, where an earlier one lies, and files of the user."""
    folder = tmp_path / "local/mine-1x16"
    (folder / "onnx").mkdir(parents=True)
    (folder / "notes.md").write_text("my notes")
    (folder / "onnx/model.onnx").write_bytes(b"exported")
    for name in ("config.json", "model.safetensors", "README.md"):
        (folder / name).write_text("earlier")
    return folder


def test_what_else_is_in_the_folder_stays(trained, place):
    family.publish(SETTINGS, *trained, place)
    assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} == {
        *("README.md", "config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
        *("notes.md", "onnx/model.onnx"),
    }
    assert (place / "notes.md").read_text() == "my notes"
    assert (place / "onnx/model.onnx").read_bytes() == b"exported"
    assert AutoModel.from_pretrained(place).config.hidden_size == 16
    card = (place / "README.md").read_text()
    assert "| masked language modelling, cross-entropy in nats | 3.2500 |" in card
    assert "300 sentences" in card


def test_every_file_is_whole_when_copying_fails(trained, place, monkeypatch):
    def fail(source, target):
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(shutil, "copyfile", fail)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(OSError, match="disk full"):
        family.publish(SETTINGS, *trained, place)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
