"""Classifiers read the first token's state, or the mean of all tokens'."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    DebertaV2Config,
    DebertaV2Model,
    EuroBertConfig,
    EuroBertModel,
    ModernBertConfig,
    ModernBertModel,
    NomicBertConfig,
    NomicBertModel,
)

from cascadebert.encoders.loading import list_untrained, load_classifier, load_encoder
from cascadebert.encoders.pooling import pool
from cascadebert.models.heads import find_pooler
from cascadebert.systems.method import Run
from cascadebert.training.loop import Examples, predict, train
from cascadebert.training.stacked import train_stack
from tests.tiny import SETTINGS, perturb, untrained

LABELS = ["negative", "positive"]
FAMILIES = ["bert-4", "roberta-3", "electra-4", "distilbert-4"]
RUN = Run("finetune", "bert-2", (("pooling", "mean"),))


def test_pooling_by_hand_whatever_the_padding():
    states = torch.randn(3, 5, 2, 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    assert torch.equal(pool(states, mask, "first"), states[:, 0])
    by_hand = [states[i, :length].mean(dim=0) for i, length in enumerate((5, 3, 1))]
    torch.testing.assert_close(pool(states, mask, "mean"), torch.stack(by_hand))


@pytest.fixture
def inputs(batch) -> dict[str, torch.Tensor]:
    """Without token types, which some families do not read."""
    return {name: batch[0][name] for name in ("input_ids", "attention_mask")}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_of_every_family_reads_the_mean(family, encoders, inputs):
    """The mean state, put where the first token's is, gives a head of that family the same."""
    classifier = load_classifier(encoders[family], LABELS, pooling="mean").eval()
    perturb(classifier)
    plain = load_classifier(encoders[family], LABELS, pooling="first").eval()
    plain.load_state_dict(classifier.state_dict())

    def put_mean_first(module, given, outputs):
        mean = pool(outputs.last_hidden_state, inputs["attention_mask"], "mean")
        outputs.last_hidden_state[:, 0] = mean

    with torch.no_grad():
        first, mean = plain(**inputs).logits, classifier(**inputs).logits
        inside = plain.base_model
        owner = inside.transformer if family.startswith("distilbert") else inside.encoder
        owner.register_forward_hook(put_mean_first)
        torch.testing.assert_close(mean, plain(**inputs).logits)
    assert not torch.allclose(mean, first, atol=1e-3)


def test_deberta_which_takes_its_last_state_from_all_states_reads_the_mean(inputs, tmp_path):
    shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    config = DebertaV2Config(**shape, vocab_size=50, num_hidden_layers=2, pad_token_id=0)
    DebertaV2Model(config).save_pretrained(tmp_path)
    classifier = load_classifier(tmp_path, LABELS, pooling="mean").eval()
    perturb(classifier)
    with torch.no_grad():
        states = classifier.deberta(**inputs).last_hidden_state
    torch.testing.assert_close(states, states[:, :1].expand_as(states))


def test_a_pooler_that_lies_beside_the_layers_reads_the_mean(inputs, tmp_path):
    """As NomicBERT's."""
    shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    config = NomicBertConfig(**shape, vocab_size=50, num_hidden_layers=2, pad_token_id=0)
    NomicBertModel(config).save_pretrained(tmp_path)
    mean, first = (load_classifier(tmp_path, LABELS, pooling=of).eval() for of in ("mean", "first"))
    perturb(mean)
    first.load_state_dict(mean.state_dict())
    with torch.no_grad():
        states = first.base_model(**inputs).last_hidden_state
        state = pool(states, inputs["attention_mask"], "mean")
        expected = first.classifier(first.base_model.pooler(state[:, None]))
        torch.testing.assert_close(mean(**inputs).logits, expected)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (ModernBertModel, ModernBertConfig(classifier_pooling="mean")),
        (EuroBertModel, EuroBertConfig(classifier_pooling="late", num_key_value_heads=2)),
    ],
)
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_the_experiment_says_what_a_head_reads_and_not_the_encoder(
    kind, settings, pooling, inputs, tmp_path
):
    """The heads of some families read what their config.json says."""
    shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    settings.update({**shape, "vocab_size": 50, "num_hidden_layers": 2, "pad_token_id": 0})
    if hasattr(settings, "layer_types"):
        settings.layer_types = settings.layer_types[:2]
    kind(settings).save_pretrained(tmp_path / "encoder")
    classifier = load_classifier(tmp_path / "encoder", LABELS, pooling=pooling).eval()
    perturb(classifier)
    classifier.save_pretrained(tmp_path / "classifier")
    states = []
    linear = classifier.head if kind is ModernBertModel else classifier.dense
    linear.register_forward_pre_hook(lambda module, given: states.append(given[0]))
    with torch.no_grad():
        logits = classifier(**inputs).logits
        last = classifier.model(**inputs).last_hidden_state
        again = load_classifier(tmp_path / "classifier", LABELS).eval()(**inputs).logits
    torch.testing.assert_close(states[0], last[:, 0])  # with the mean, all of these are the mean
    torch.testing.assert_close(again, logits)


def test_a_new_pooler_starts_as_the_identity(encoders, tmp_path):
    encoder = load_encoder(encoders["bert-2"])
    weights = {name: w for name, w in encoder.state_dict().items() if "pooler" not in name}
    encoder.save_pretrained(tmp_path, state_dict=weights)
    dense = load_classifier(tmp_path, LABELS, pooling="mean").base_model.pooler.dense
    assert torch.equal(dense.weight, torch.eye(32))
    assert not dense.bias.any()
    trained = load_classifier(encoders["bert-2"], LABELS, pooling="mean").base_model.pooler.dense
    assert torch.equal(trained.weight, encoder.pooler.dense.weight)


def test_a_pooler_of_the_file_that_was_never_trained_counts_as_new(encoders, tmp_path):
    """Its biases are zero. A fine-tuned classifier is taken as it is."""
    encoder = load_encoder(encoders["bert-2"])
    nn.init.zeros_(encoder.pooler.dense.bias)
    encoder.save_pretrained(tmp_path / "encoder")
    classifier = load_classifier(tmp_path / "encoder", LABELS, pooling="mean")
    assert torch.equal(classifier.bert.pooler.dense.weight, torch.eye(32))
    assert find_pooler(load_encoder(tmp_path / "encoder")) is None
    perturb(classifier)
    nn.init.zeros_(classifier.bert.pooler.dense.bias)
    classifier.save_pretrained(tmp_path / "classifier")
    again = load_classifier(tmp_path / "classifier", LABELS)
    assert torch.equal(again.bert.pooler.dense.weight, classifier.bert.pooler.dense.weight)
    assert not list_untrained(again)


def test_a_saved_classifier_reads_the_mean(encoders, inputs, tmp_path):
    """And transformers alone, which does not know of it, does not. The tests of `deployment` have
    such a classifier on every runtime."""
    model = untrained(RUN, encoders, tmp_path).eval()
    perturb(model)
    model.save(tmp_path)
    with torch.no_grad():
        expected = model(inputs)[:, 0]
        assert torch.equal(load_classifier(tmp_path, LABELS).eval()(**inputs).logits, expected)
        plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        assert not torch.allclose(plain(**inputs).logits, expected, atol=1e-3)


def test_a_stack_reads_the_mean(encoders, splits, tmp_path):
    examples = Examples(splits["train"].take(np.arange(32)), splits["dev"], "accuracy")
    settings = replace(SETTINGS, epochs=1)

    def make():
        model = untrained(RUN, encoders, tmp_path)
        for part in model.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        return model

    stacked, alone = make(), make()
    train_stack([stacked], examples, settings, seeds=[0], name="stack")
    train(alone, examples, settings, seed=0, name="alone")
    assert predict(stacked, splits["test"]) == pytest.approx(
        predict(alone, splits["test"]), abs=2e-3
    )
