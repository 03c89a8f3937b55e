"""Files from elsewhere run no code and leave their place for no other."""

import io
import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from cascadebert.core.errors import UserError
from cascadebert.data.hub import load_dataset
from cascadebert.data.package import unpack
from cascadebert.data.predictions import Predictions
from cascadebert.data.states import States
from cascadebert.data.tokens import TokenizedSplit
from cascadebert.encoders.loading import load_classifier, load_config, load_encoder, load_tokenizer
from cascadebert.pretraining.teacher import Space
from cascadebert.pretraining.vocabulary import Tokens


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def sprung(tmp_path) -> Path:
    """The file that a trap leaves."""
    return tmp_path / "sprung"


@pytest.fixture
def hostile(encoders, tmp_path, sprung, monkeypatch) -> Path:
    """An encoder with code of its own; who is asked whether to run it says yes."""
    folder = Path(shutil.copytree(encoders["bert-2"], tmp_path / "hostile"))
    code = f"from pathlib import Path\nPath({str(sprung)!r}).touch()\n"
    code += "from transformers import BertConfig as Config, BertModel as Model\n"
    (folder / "own.py").write_text(code)
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"model_type": "own"}
    mapped = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    mapped["AutoModelForSequenceClassification"] = "own.Model"
    path.write_text(json.dumps(config | {"auto_map": mapped}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    return folder


def test_an_encoders_own_code_is_not_run(hostile, sprung):
    for load in (load_config, load_encoder, lambda folder: load_classifier(folder, ["a", "b"])):
        with pytest.raises(UserError, match="hostile wants to run code that comes with it"):
            load(hostile)
    load_tokenizer(hostile)
    assert not sprung.exists()


def test_a_known_family_is_loaded_without_the_code_beside_it(hostile, sprung):
    path = hostile / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "bert"}))
    assert load_encoder(hostile).config.num_hidden_layers == 2
    assert not sprung.exists()


def test_pickled_weights_are_not_read(encoders, tmp_path, sprung):
    folder = Path(shutil.copytree(encoders["bert-2"], tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    torch.save({"weights": Trap(sprung)}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin\) are never read here"):
        load_encoder(folder)
    assert not sprung.exists()


@pytest.mark.parametrize("kind", [Predictions, TokenizedSplit, States, Tokens, Space])
def test_a_pickle_in_an_array_file_is_not_read(kind, tmp_path, sprung):
    names = "logits costs ids labels tokens segments offsets padding states exit starts"
    trap = np.array([Trap(sprung)], dtype=object)
    arrays = dict.fromkeys([*names.split(), "token_mean", "sentence_mean", "axes"], trap)
    np.savez(tmp_path / "arrays.npz", **arrays)
    with pytest.raises((UserError, ValueError), match="allow_pickle=False"):
        kind.load(tmp_path / "arrays.npz")
    assert not sprung.exists()


def test_a_data_sets_own_code_and_pickles_are_not_run(tmp_path, sprung, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "script/script.py": f"open({str(sprung)!r}, 'w')".encode(),
        "pickles/train.pkl": pickle.dumps(Trap(sprung)),
    }.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"data set {path.parent.name} could not be loaded"):
            load_dataset(path.parent.name, None)
    assert not sprung.exists()


@pytest.mark.slow
def test_what_an_archive_calls_its_members_leads_nowhere(tmp_path, monkeypatch):
    """Nothing is written, and a link is no file."""
    buffer = io.BytesIO()
    outside = tmp_path / "outside.txt"
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("../up.txt", str(outside)):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"text"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo(f"link{kind.decode()}.txt")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    monkeypatch.chdir(tmp_path)
    data = buffer.getvalue()
    assert unpack(data, "archive", "up.txt") == unpack(data, "archive", "outside.txt") == b"text"
    with pytest.raises(UserError, match=r"0 files in it end in 'link2\.txt'"):
        unpack(data, "archive", "link2.txt")
    with pytest.raises(UserError, match=r"0 files in it end in 'link1\.txt'"):
        unpack(data, "archive", "link1.txt")
    assert os.listdir(tmp_path) == []
