"""What an encoder cannot read or host is said by the first job that meets it."""

import json
import logging
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import (
    BartConfig,
    BartModel,
    BertConfig,
    BertModel,
    FNetConfig,
    FNetModel,
    FunnelConfig,
    FunnelModel,
    GPT2Config,
    GPT2Model,
    RobertaConfig,
    RobertaModel,
)

from cascadebert.core.errors import UserError
from cascadebert.data.task import Task
from cascadebert.data.tokens import TokenizedSplit, tokenize
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.models.building import check_reads, new_model
from cascadebert.systems.method import Run
from cascadebert.training.tokenizing import tokenize_task
from tests.tiny import untrained

LABELS = ["negative", "positive"]
SHAPE = {"vocab_size": 41, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture
def made(encoders, tmp_path):
    """Makes an encoder with the tokenizer of the others, which may be changed."""

    def make(model, **tokenizer) -> str:
        folder = tmp_path / "made"
        model.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(Path(encoders["bert-2"], name), folder)
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | tokenizer))
        return str(folder)

    return make


def gpt2() -> GPT2Model:
    return GPT2Model(
        GPT2Config(vocab_size=41, n_embd=32, n_layer=2, n_head=2, bos_token_id=2, eos_token_id=3)
    )


def bart() -> BartModel:
    shape = {"vocab_size": 41, "d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    layers = {"encoder_layers": 2, "decoder_layers": 2}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    return BartModel(BartConfig(**shape, **layers, **heads))


def fnet() -> FNetModel:
    return FNetModel(FNetConfig(vocab_size=41, hidden_size=32, intermediate_size=64))


def funnel() -> FunnelModel:
    shape = {"d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 64}
    return FunnelModel(FunnelConfig(vocab_size=41, block_sizes=[1, 1], **shape))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (gpt2, "is a gpt2 model, which does not read .* both"),
        (bart, "is a bart model, which does not read .* both"),
        (fnet, "is a fnet model, which mixes a text with the padding"),
        (funnel, "is a funnel model, which shortens a text"),
    ],
)
def test_what_systems_cannot_be_built_on_is_no_encoder(model, reason, made, task, tmp_path):
    encoder = made(model())
    with pytest.raises(UserError, match=reason):
        tokenize_task(task, encoder, 64, tmp_path / "tokens")
    assert not (tmp_path / "tokens").exists()
    with pytest.raises(UserError, match=reason):  # it may share a tokenizer
        new_model(Run("finetune", "made"), encoder, LABELS, (), 0)


@pytest.mark.parametrize(
    ("options", "max_length", "message"),
    [
        ({}, 65, r"training\.max_length is 65, but .*made reads 64 tokens at most"),
        ({"model_max_length": 10**30}, 67, r"max_length is 67, but .*made reads 66 tokens"),
        ({"pad_token": None}, 64, r"the tokenizer of .*made has no padding token"),
    ],
)
def test_texts_that_the_encoder_cannot_read_are_refused(
    options, max_length, message, made, task, tmp_path
):
    config = BertConfig(**SHAPE, num_hidden_layers=1, max_position_embeddings=66)
    encoder = made(BertModel(config), **options)
    with pytest.raises(UserError, match=message):
        tokenize_task(task, encoder, max_length, tmp_path / "tokens")


def test_a_tokenizer_without_its_files_is_refused(made, task, tmp_path):
    """transformers makes one that knows no word."""
    encoder = made(BertModel(BertConfig(**SHAPE, num_hidden_layers=1)))
    for path in Path(encoder).glob("tokenizer*"):
        path.unlink()
    with pytest.raises(UserError, match=r"words: .*made knows no word .*tokenizer\.json"):
        tokenize_task(task, encoder, 64, tmp_path / "tokens")


@pytest.mark.parametrize("pair", [False, True])
def test_the_log_says_how_many_texts_were_cut(pair, encoders, tmp_path, caplog):
    words = ["a"] * 4, ["a"] * 5, ["a"] * 6, ["a"] * 60
    table = pd.DataFrame({"id": list("wxyz"), "text": [" ".join(text) for text in words]})
    table = table.assign(text_pair="film" if pair else None, label=0)
    small = Task("small", LABELS, "accuracy", {"train": table, "dev": table[:1]}, {})
    caplog.set_level(logging.INFO)
    # With two special tokens around a text, and one more and a word where there is a pair.
    tokenize_task(small, encoders["bert-2"], 9 if pair else 7, tmp_path / "tokens")
    assert "train: 2 of 4 texts were cut at" in caplog.text
    assert "dev: 0 of 1 texts were cut at" in caplog.text
    lengths = TokenizedSplit.load(tmp_path / "tokens" / "train.npz").lengths
    assert lengths.tolist() == ([8, 9, 9, 9] if pair else [6, 7, 7, 7])


@pytest.mark.parametrize("method", ["deebert", "fastbert", "cosee"])
def test_exits_before_the_last_layer_need_two_layers(method, made, tmp_path):
    encoder = made(BertModel(BertConfig(**SHAPE, num_hidden_layers=1)))
    options = (("stage", "teacher"),) if method == "fastbert" else ()
    parent = Run("fastbert" if options else "finetune", "made", options)
    run = Run(method, "made", parents=() if method == "cosee" else (parent,))
    with pytest.raises(UserError, match=rf"{method}-made: .*made has too few layers"):
        untrained(run, {"made": encoder}, tmp_path)


def test_tokens_of_another_vocabulary_are_refused(made, splits):
    encoder = made(BertModel(BertConfig(**SHAPE | {"vocab_size": 20}, num_hidden_layers=1)))
    model = new_model(Run("finetune", "made"), encoder, LABELS, (), 0)
    with pytest.raises(UserError, match=r"made has a vocabulary of 20, but .*token \d\d; give it"):
        check_reads(model, encoder, splits["train"])


def test_pairs_that_the_encoder_does_not_tell_apart_are_refused(encoders, made):
    """As of a RoBERTa with a tokenizer that someone trained for it."""
    config = RobertaConfig(**SHAPE | {"pad_token_id": 0}, num_hidden_layers=1, type_vocab_size=1)
    encoder = made(RobertaModel(config))
    model = new_model(Run("finetune", "made"), encoder, LABELS, (), 0)
    table = pd.DataFrame({"id": ["x"], "text": ["a"], "text_pair": ["film"], "label": [0]})
    tokenizer = load_tokenizer(encoders["bert-2"])
    check_reads(model, encoder, tokenize(table.assign(text_pair=None), tokenizer, 16))
    with pytest.raises(UserError, match=r"made does not tell .* apart \(type_vocab_size 1 in its"):
        check_reads(model, encoder, tokenize(table, tokenizer, 16))


@pytest.mark.parametrize(
    ("kind", "settings", "room"), [(RobertaModel, RobertaConfig, 15), (BertModel, BertConfig, 16)]
)
def test_texts_longer_than_the_positions_are_refused(kind, settings, room, encoders, made):
    """RoBERTa has fewer positions than its configuration has numbers."""
    shape = SHAPE | {"max_position_embeddings": 16, "pad_token_id": 0, "num_hidden_layers": 1}
    encoder = made(kind(settings(**shape)))
    model = new_model(Run("finetune", "made"), encoder, LABELS, (), 0)
    table = pd.DataFrame({"id": ["x"], "text": ["a " * 60], "text_pair": [None], "label": [0]})
    tokenizer = load_tokenizer(encoders["bert-2"])
    fits, too_long = (tokenize(table, tokenizer, length) for length in (room, room + 1))
    check_reads(model, encoder, fits)
    inputs = {"input_ids": torch.from_numpy(fits.tokens[None].astype(int))}
    assert torch.isfinite(model(inputs)).all()
    with pytest.raises(UserError, match=rf"tokens, but .*made reads {room} at most"):
        check_reads(model, encoder, too_long)
