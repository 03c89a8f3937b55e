"""Executed early exits are the computed ones, example by example."""

from itertools import product

import numpy as np
import pytest
import torch
from transformers import (
    DebertaV2Config,
    DebertaV2Model,
    ModernBertConfig,
    ModernBertModel,
    SqueezeBertConfig,
    SqueezeBertModel,
)

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.deployment.exits import EarlyExits
from cascadebert.systems import find_methods, load_method
from tests.systems.test_systems import run_of
from tests.tiny import perturb, untrained

METHODS = {name: load_method(name) for name in find_methods()}
# A cascade's exits lie in several models.
EXITING = [
    name
    for name, method in METHODS.items()
    if method.EXIT_RULE.knob and "members" not in method.OPTIONS["properties"]
]
FAMILIES = ["bert-4", "roberta-3", "electra-4", "distilbert-4"]
POOLED = {
    "first": product(EXITING, FAMILIES),
    "mean": product(["deebert", "linear", "berxit"], ["bert-4"]),
}


def compute_exits(model, inputs) -> Predictions:
    with torch.inference_mode():
        logits = model(inputs).numpy()
    rows = np.arange(len(logits))
    return Predictions(logits, np.array(model.depths, dtype=float), rows, rows)


@pytest.mark.parametrize(
    ("method", "encoder", "pooling"),
    [(*case, pooling) for pooling, cases in POOLED.items() for case in cases],
)
def test_executed_exits_are_the_computed_ones(method, encoder, pooling, encoders, batch, tmp_path):
    """Where the last layer's mean is read, texts that left take no part in it."""
    inputs, _ = batch
    if encoder.startswith(("roberta", "distilbert")):
        inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    run = run_of(method, encoder).pooled_as({encoder: pooling})
    model = untrained(run, encoders, tmp_path).eval()
    perturb(model)
    computed = compute_exits(model, inputs)
    logits, rows = computed.logits, np.arange(len(computed.logits))
    rule = load_method(method).EXIT_RULE
    knobs = rule.knobs(computed)
    taken = set()
    for knob in knobs[np.linspace(0, len(knobs) - 1, 12).astype(int)].tolist():
        runner = EarlyExits(model, rule, knob)
        expected = rule.exit_index(computed, knob)
        taken |= set(expected)
        answers, exits = runner(inputs)
        assert exits.tolist() == expected.tolist()
        np.testing.assert_allclose(answers, logits[rows, expected], atol=1e-5)
        for row in (0, 5):
            alone = {name: value[row : row + 1] for name, value in inputs.items()}
            one, exit = runner(alone)
            assert exit.tolist() == [expected[row]]
            np.testing.assert_allclose(one[0], logits[row, expected[row]], atol=1e-5)
    assert len(taken) > 1  # inputs left at several places


def test_layers_after_the_last_exit_are_not_run(encoders, batch, tmp_path):
    model = untrained(run_of("deebert", "bert-4"), encoders, tmp_path).eval()
    ran = []
    for number, layer in enumerate(model.backbone.base_model.encoder.layer):
        layer.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
    _, exits = EarlyExits(model, load_method("deebert").EXIT_RULE, 10.0)(batch[0])
    assert (exits == 0).all()
    assert ran == [0]


SHAPE = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 50}
SHAPE |= {"num_hidden_layers": 4, "pad_token_id": 0}


def make_modernbert() -> ModernBertModel:
    """Its layers differ in kind, and its heads may read the mean."""
    return ModernBertModel(ModernBertConfig(**SHAPE, classifier_pooling="mean"))


def make_deberta() -> DebertaV2Model:
    """It has a convolution after the first layer, and as many distances as the batch has texts."""
    config = DebertaV2Config(
        **SHAPE, relative_attention=True, pos_att_type=["c2p"], position_buckets=6
    )
    config.conv_kernel_size, config.conv_act = 3, "gelu"
    return DebertaV2Model(config)


@pytest.mark.parametrize(
    ("method", "make"),
    [
        *product(["pabee", "deebert", "fastbert", "berxit"], [make_modernbert]),
        ("pabee", make_deberta),
    ],
)
def test_exits_of_a_family_that_computes_more_than_its_layers(method, make, batch, tmp_path):
    """ModernBERT normalises the last layer's states besides."""
    make().save_pretrained(tmp_path / "encoder")
    encoders = {"large": str(tmp_path / "encoder")}
    inputs = {name: batch[0][name] for name in ("input_ids", "attention_mask")}
    model = untrained(run_of(method, "large"), encoders, tmp_path).eval()
    perturb(model)
    computed = compute_exits(model, inputs)
    logits, rows = computed.logits, np.arange(len(computed.logits))
    rule = load_method(method).EXIT_RULE
    for knob in rule.knobs(computed)[[0, 2, 3]].tolist():
        expected = rule.exit_index(computed, knob)
        answers, exits = EarlyExits(model, rule, knob)(inputs)
        assert exits.tolist() == expected.tolist()
        np.testing.assert_allclose(answers, logits[rows, expected], atol=1e-4)


def test_exits_of_a_family_that_has_no_states_of_tokens_between_layers_are_refused(batch, tmp_path):
    """Those of SqueezeBERT have the tokens last."""
    SqueezeBertModel(SqueezeBertConfig(**SHAPE, embedding_size=32)).save_pretrained(tmp_path / "e")
    model = untrained(run_of("pabee", "e"), {"e": str(tmp_path / "e")}, tmp_path).eval()
    with pytest.raises(UserError, match="layers of a squeezebert model pass on no states of tok"):
        EarlyExits(model, load_method("pabee").EXIT_RULE, 1)(batch[0])
