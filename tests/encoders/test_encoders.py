"""Encoders that cannot be had, or are not what they say."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModel,
    BertConfig,
    BertForSequenceClassification,
    LongformerConfig,
    LongformerModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    NomicBertConfig,
    NomicBertModel,
)

from cascadebert.core.errors import UserError
from cascadebert.encoders.loading import (
    HUB,
    load_classifier,
    load_config,
    load_encoder,
    load_tokenizer,
)
from cascadebert.encoders.shape import count_layer_flops
from cascadebert.encoders.weights import load_weights, save_weights
from tests.hub import COMMIT, Hub

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(encoders, tmp_path) -> Path:
    """A copy of an encoder of 2 layers, to be spoilt."""
    return Path(shutil.copytree(encoders["bert-2"], tmp_path / "encoder"))


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_weights, r"AutoModel \(SafetensorError: .*\); the folder is damaged"),
        (
            lambda folder: (folder / "config.json").write_text("{"),
            r"AutoConfig \(OSError: .*config\.json' is not a valid JSON file\.\); the folder",
        ),
        (
            lambda folder: edit(folder / "config.json", model_type="klingon"),
            r"AutoConfig \(ValueError: .*`klingon`",
        ),
        (
            lambda folder: edit(folder / "config.json", num_hidden_layers=4),
            r"weights have no encoder\.layer\.2\.\S+ of the shape .*\(4 layers of width 32\)",
        ),
        (
            lambda folder: edit(folder / "config.json", num_hidden_layers=0),
            r"its config\.json says that it has 0 layers; the file is damaged",
        ),
        (
            lambda folder: edit(folder / "config.json", hidden_size=64),
            r"weights have no embeddings\.\S+ of the shape .*\(2 layers of width 64\)",
        ),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            r"has no model\.safetensors.*AutoModel\.from_pretrained\('.*encoder'\)\.save_pretr",
        ),
    ],
)
def test_a_spoilt_folder_is_one_paragraph(spoil, message, copy):
    spoil(copy)
    with pytest.raises(UserError, match=message) as caught:
        load_encoder(copy)
    assert str(caught.value).startswith(f"encoder {copy}")
    assert "\n" not in str(caught.value)


def test_a_head_of_other_labels_gives_way_to_a_new_one(encoders, tmp_path):
    torch.manual_seed(0)
    config = BertConfig.from_pretrained(encoders["bert-2"], num_labels=3)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    assert load_classifier(tmp_path, ["no", "yes"]).classifier.out_features == 2


def test_who_does_not_say_its_inner_width_has_berts():
    expected = count_layer_flops(BertConfig(hidden_size=32, intermediate_size=128), 10)
    assert count_layer_flops(SimpleNamespace(hidden_size=32), 10) == expected


def test_a_gate_is_a_third_feed_forward_matrix():
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    shape |= {"num_attention_heads": 2, "vocab_size": 50, "pad_token_id": 0}
    for config in (ModernBertConfig(**shape), NomicBertConfig(**shape)):
        layers = AutoModel.from_config(config).layers
        weights = sum(weight.numel() for weight in layers.parameters() if weight.ndim == 2)
        assert count_layer_flops(config, 10) == 2 * 10 * weights + 4 * 10**2 * 32


@pytest.mark.slow
def test_a_hub_that_never_answers_is_given_up():
    """It takes the call and is silent, as behind many a firewall."""
    script = """
import socket, time
time.sleep = lambda seconds: None  # between two attempts
hub = socket.create_server(("127.0.0.1", 0))
import os
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:%d" % hub.getsockname()[1]
from cascadebert.encoders.loading import load_config
load_config("nobody/nothing")
"""
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    start = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=100,
    )
    assert time.monotonic() - start > 2  # it did call
    assert "UserError: encoder nobody/nothing could not be loaded" in result.stderr


def test_without_the_hub_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_config(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no folder here, and no model .* make the hub") as caught:
        load_config("nobody/nothing")
    assert "\n" not in str(caught.value)


def test_a_model_of_the_hub_is_put_into_a_folder(encoders, tmp_path):
    """From a server that answers as the hub does."""
    hub = Hub()
    hub.files = {path.name: path.read_bytes() for path in Path(encoders["bert-2"]).iterdir()}
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
    }
    code = f"from cascadebert.encoders.loading import fetch; fetch('user/model', '{tmp_path}/m')"
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    hub.shutdown()
    assert result.returncode == 0, result.stderr
    made, original = tmp_path / "m", encoders["bert-2"]
    assert json.loads((made / HUB).read_text()) == {"model": "user/model", "commit": COMMIT}
    fetched, weights = (load_encoder(path).state_dict() for path in (made, original))
    assert all(torch.equal(fetched[name], weights[name]) for name in weights)
    assert load_tokenizer(made).get_vocab() == load_tokenizer(original).get_vocab()


SHAPE = {"vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
SHAPE["pad_token_id"] = 0


@pytest.mark.parametrize(
    ("kind", "config", "by_layer"),
    [
        # Their config.json lists a kind of attention, or its width, for each layer.
        (ModernBertModel, ModernBertConfig(**SHAPE, num_hidden_layers=4), "layer_types"),
        (
            LongformerModel,
            LongformerConfig(**SHAPE, num_hidden_layers=4, attention_window=[4, 4, 8, 8]),
            "attention_window",
        ),
    ],
    ids=["modernbert", "longformer"],
)
def test_the_first_layers_of_a_family_that_lists_its_layers_can_be_saved(
    kind, config, by_layer, tmp_path
):
    kind(config).save_pretrained(tmp_path / "whole")
    cut = load_classifier(tmp_path / "whole", ["no", "yes"], layers=2).eval()
    cut.save_pretrained(tmp_path / "cut")
    again = load_classifier(tmp_path / "cut", ["no", "yes"]).eval()
    ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(again(ids).logits, cut(ids).logits)
    assert getattr(again.config, by_layer) == getattr(config, by_layer)[:2]
    assert again.config.num_hidden_layers == 2


def test_the_first_layers_of_an_albert_with_groups_of_layers_are_refused(tmp_path):
    """With one group, as all that were published have, its first layers are what they should be."""
    for groups in (1, 2):
        AlbertModel(
            AlbertConfig(**SHAPE, embedding_size=16, num_hidden_layers=4, num_hidden_groups=groups)
        ).save_pretrained(tmp_path / str(groups))
    ids = torch.tensor([[1, 2, 3]])
    states = load_encoder(tmp_path / "1").eval()(ids, output_hidden_states=True).hidden_states
    cut = load_encoder(tmp_path / "1", layers=2).eval()(ids).last_hidden_state
    torch.testing.assert_close(cut, states[2])
    assert load_encoder(tmp_path / "2", layers=4).config.num_hidden_groups == 2
    with pytest.raises(UserError, match=r"2 has 2 groups of layers .* cannot be cut; leave"):
        load_encoder(tmp_path / "2", layers=2)


def test_weights_that_transformers_loads_as_views_of_one_tensor_can_be_saved(tmp_path):
    config = NomicBertConfig(**SHAPE, num_hidden_layers=2)
    NomicBertModel(config).save_pretrained(tmp_path / "encoder")
    encoder = load_encoder(tmp_path / "encoder")
    save_weights(encoder, tmp_path / "run")
    load_weights(load_encoder(tmp_path / "encoder"), tmp_path / "run")


def test_where_there_is_a_gpu_a_family_without_fused_attention_is_loaded(
    encoders, tmp_path, monkeypatch
):
    """And the others use it there."""
    MPNetModel(MPNetConfig(**SHAPE, num_hidden_layers=2)).save_pretrained(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = [load_encoder(folder).config for folder in (tmp_path, encoders["bert-2"])]
    assert [config._attn_implementation for config in found] == ["eager", "sdpa"]
