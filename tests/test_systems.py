"""Every system on encoders of several families: its exits, its objective, what training changes."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification

from cascadebert.encoders import (
    layer_cost,
    layer_flops,
    load_classifier,
    load_config,
    load_tokenizer,
)
from cascadebert.errors import UserError
from cascadebert.stages import new_model
from cascadebert.systems import Run, names, system
from cascadebert.systems.cascade import candidates as cascade_candidates
from cascadebert.tokens import tokenize

LABELS = ["negative", "positive"]


@pytest.fixture(scope="module")
def batch(task, encoders):
    split = tokenize(task.splits["dev"], load_tokenizer(encoders["bert-2"]), 64)
    rows = np.arange(12)
    return split.batch(rows), torch.from_numpy(split.labels[rows])


@pytest.fixture(scope="module")
def backbone(encoders, tmp_path_factory):
    """A fine-tuned run's folder, here with a random head."""
    folder = tmp_path_factory.mktemp("backbone")
    new_model(Run("finetune", "bert-4"), encoders["bert-4"], LABELS, (), 7).save(folder)
    return folder


def test_every_system_says_what_it_has_to():
    assert {"finetune", "deebert", "pabee", "cascade"} <= set(names())
    for name in names():
        module = system(name)
        assert module.EXIT_RULE
        assert set(module.OPTIONS["required"]) <= set(module.OPTIONS["properties"])


@pytest.mark.parametrize("encoder", ["bert-2", "bert-4", "roberta-3"])
@pytest.mark.parametrize("method", ["finetune", "pabee"])
def test_exits_of_any_encoder_family(method, encoder, encoders, batch):
    inputs, gold = batch
    if encoder.startswith("roberta"):
        inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    model = new_model(Run(method, encoder), encoders[encoder], LABELS, (), 0)
    layers = load_config(encoders[encoder]).num_hidden_layers
    assert model.depths == ([layers] if method == "finetune" else list(range(1, layers + 1)))
    logits = model(inputs)
    assert logits.shape == (12, len(model.depths), 2)
    model.loss(logits, gold).backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_first_k_layers_are_those_of_the_encoder(encoders, batch):
    inputs, _ = batch
    cut = load_classifier(encoders["bert-4"], LABELS, layers=3)
    whole = load_classifier(encoders["bert-4"], LABELS)
    cut.eval(), whole.eval()
    with torch.no_grad():
        last = cut(**inputs, output_hidden_states=True).hidden_states[-1]
        third = whole(**inputs, output_hidden_states=True).hidden_states[3]
    torch.testing.assert_close(last, third)
    with pytest.raises(UserError, match="has 4 layers; its first 5"):
        load_classifier(encoders["bert-4"], LABELS, layers=5)


def test_a_finetuned_run_is_a_hugging_face_classifier(encoders, batch, tmp_path):
    inputs, _ = batch
    model = new_model(
        Run("finetune", "bert-4", (("layers", 2),)), encoders["bert-4"], LABELS, (), 3
    )
    model.save(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert plain.config.id2label == {0: "negative", 1: "positive"}
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(inputs)[:, 0], plain(**inputs).logits)


def test_deebert_trains_off_ramps_only(encoders, backbone, batch):
    inputs, gold = batch
    run = Run("deebert", "bert-4", parents=(Run("finetune", "bert-4"),))
    model = new_model(run, encoders["bert-4"], LABELS, [backbone], 0)
    logits = model.train()(inputs)
    by_hand = sum(cross_entropy(logits[:, i], gold) for i in range(3))
    loss = model.loss(logits, gold)
    torch.testing.assert_close(loss, by_hand)
    loss.backward()
    assert all(p.grad is None for p in model.backbone.parameters())
    assert all(p.grad is not None for p in model.ramps.parameters())
    # its last exit is the fine-tuned model itself, with no dropout even while off-ramps train
    classifier = AutoModelForSequenceClassification.from_pretrained(backbone).eval()
    with torch.no_grad():
        torch.testing.assert_close(logits[:, -1], classifier(**inputs).logits)
    # every off-ramp starts from the fine-tuned pooler and reads its own layer
    pooler = model.backbone.base_model.pooler.dense.weight
    assert all(torch.equal(ramp[0].dense.weight, pooler) for ramp in model.ramps)


def test_pabee_weighs_its_exits_by_depth(encoders, batch):
    inputs, gold = batch
    model = new_model(Run("pabee", "bert-4"), encoders["bert-4"], LABELS, (), 0)
    logits = model(inputs)
    losses = np.array([cross_entropy(logits[:, j], gold).item() for j in range(4)])
    expected = (losses * [1, 2, 3, 4]).sum() / 10
    assert model.loss(logits, gold).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["finetune", "deebert", "pabee"])
def test_what_is_saved_is_what_is_loaded(method, encoders, backbone, batch, tmp_path):
    inputs, _ = batch
    parents = [backbone] if method == "deebert" else []
    run = Run(method, "bert-4")
    one, other = (new_model(run, encoders["bert-4"], LABELS, parents, seed) for seed in (1, 2))
    one.save(tmp_path)
    other.load(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(one.eval()(inputs), other.eval()(inputs))


def test_damaged_weights_are_named(encoders, tmp_path):
    model = new_model(Run("pabee", "bert-2"), encoders["bert-2"], LABELS, (), 0)
    model.save(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        model.load(tmp_path)


def test_cascades_share_their_runs_and_regularise_all_members_but_the_last():
    plain = cascade_candidates({"members": ["a", "b", "c"]}, [0.1, 0.3])
    assert plain == {"": [Run("finetune", "a"), Run("finetune", "b"), Run("finetune", "c")]}
    regularised = cascade_candidates({"members": ["a", "b", "c"], "dar": True}, [0.1, 0.3])
    assert list(regularised) == ["0.1", "0.3"]
    assert [run.name for run in regularised["0.3"]] == [
        "finetune-a-margin0.3",
        "finetune-b-margin0.3",
        "finetune-c",
    ]


def test_layers_of_another_width_cost_their_flops(encoders, tmp_path):
    assert layer_cost(encoders["bert-2"], encoders["bert-4"], tokens=64) == 1
    wide = load_config(encoders["bert-2"])
    wide.hidden_size, wide.intermediate_size = 64, 128
    narrow = load_config(encoders["bert-2"])
    # by hand: 4 projections and 2 feed-forward matrices a token, 2 products of attention
    assert layer_flops(narrow, 10) == 2 * 10 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * (2 * 10 * 10 * 32)
    assert 3 < layer_flops(wide, 64) / layer_flops(narrow, 64) < 4


def test_an_encoder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_config(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no-such-owner/no-such-model"):
        load_config("no-such-owner/no-such-model")
