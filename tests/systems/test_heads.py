"""Where exits look, and heads on a frozen model: their states, their training, their execution."""

import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.data.tokens import TokenizedSplit
from cascadebert.encoders.layers import list_layers
from cascadebert.models.heads import FrozenExits
from cascadebert.systems import load_method
from cascadebert.systems.exits import ENTROPY
from cascadebert.training import head_training
from cascadebert.training.head_training import (
    FrozenStates,
    choose_head_settings,
    fold,
    read_states,
    standardise,
    train_heads,
)
from cascadebert.training.loop import predict
from cascadebert.training.probes import fit_linear, read_exits, scale_exits
from tests.tiny import perturb, untrained

WIDTH = 6


def run_of(method: str, pooling: str, encoder: str = "bert-4"):
    options = {"encoder": encoder, "pooling": pooling}
    [candidate] = load_method(method).candidates(options, [])
    [run] = candidate.runs
    return run


@pytest.mark.parametrize("method", ["deebert", "pabee", "berxit", "fastbert"])
def test_pooling_changes_what_exits_read_and_nothing_else(method, encoders, batch, tmp_path):
    inputs, _ = batch
    models = {
        pooling: untrained(run_of(method, pooling), encoders, tmp_path / pooling).eval()
        for pooling in ("first", "mean")
    }
    weights = {pooling: model.state_dict() for pooling, model in models.items()}
    assert weights["first"].keys() == weights["mean"].keys()
    assert all(torch.equal(weights["first"][k], weights["mean"][k]) for k in weights["first"])
    for model in models.values():
        perturb(model)
    with torch.no_grad():
        first, mean = (models[pooling](inputs) for pooling in ("first", "mean"))
    assert not any(torch.allclose(first[:, e], mean[:, e], atol=1e-4) for e in range(3))
    if method == "deebert":  # the last exit is that of the fine-tuned model
        assert torch.equal(first[:, -1], mean[:, -1])


@pytest.mark.parametrize("method", ["pabee", "berxit", "deebert"])
def test_an_exit_reads_the_mean_of_its_layers_states(method, encoders, batch, tmp_path):
    inputs, _ = batch
    model = untrained(run_of(method, "mean"), encoders, tmp_path).eval()
    perturb(model)
    inside = {"pabee": "encoder", "berxit": "classifier", "deebert": "backbone"}[method]
    with torch.no_grad():
        logits = model(inputs)
        states = getattr(model, inside)(**inputs, output_hidden_states=True).hidden_states
        for i, length in enumerate(inputs["attention_mask"].sum(dim=1)):
            for layer in (1, 2, 3):
                mean = states[layer][i, :length].mean(dim=0)
                if method == "pabee":
                    expected = model.classifiers[layer - 1](model.pooler(mean))
                else:
                    ramps = model.ramps if method == "berxit" else model.heads
                    expected = ramps[layer - 1](mean)
                torch.testing.assert_close(logits[i, layer - 1], expected)


@pytest.mark.parametrize("method", ["pabee", "berxit"])
def test_exits_on_an_encoder_without_a_pooler_start_from_scaled_states(
    method, encoders, splits, tmp_path
):
    data = splits["train"]
    with_pooler = untrained(run_of(method, "first"), encoders, tmp_path)
    before = predict(with_pooler, splits["dev"])
    scale_exits(with_pooler, data, seed=0)
    assert np.array_equal(predict(with_pooler, splits["dev"]), before)

    model = untrained(run_of(method, "first", "electra-4"), encoders, tmp_path)
    dense = model.pooler.dense if method == "pabee" else model.ramps[0][0].dense
    assert torch.equal(dense.weight, torch.eye(32))
    _, states = read_exits(model, data)
    scale_exits(model, data, seed=0)
    for e, scale in enumerate(model.scales):
        scaled = scale(torch.from_numpy(states[:, e]))
        torch.testing.assert_close(scaled.mean(dim=0), torch.zeros(32), atol=1e-3, rtol=0)
        torch.testing.assert_close(scaled.std(dim=0), torch.ones(32), atol=1e-3, rtol=0)
    model.save(tmp_path / "run")
    other = untrained(run_of(method, "first", "electra-4"), encoders, tmp_path, seed=1)
    other.load(tmp_path / "run")
    assert np.array_equal(predict(other, splits["dev"]), predict(model, splits["dev"]))


def test_a_standardised_layer_computes_the_same_and_folds_back():
    layer, states = nn.Linear(WIDTH, 3), 5 + 3 * torch.randn(20, WIDTH)
    mean, deviation = states.mean(dim=0), states.std(dim=0)
    before, expected = layer.weight.clone(), layer(states)
    standardise(layer, mean, deviation)
    torch.testing.assert_close(layer((states - mean) / deviation), expected)
    fold(layer, mean, deviation)
    torch.testing.assert_close(layer.weight, before)
    torch.testing.assert_close(layer(states), expected)


@pytest.mark.parametrize("method", ["deebert", "fastbert", "linear"])
def test_states_are_computed_once_and_heads_alone_are_trained(
    method, encoders, splits, tmp_path, monkeypatch
):
    monkeypatch.setattr(head_training, "STEPS", 100)
    model = untrained(run_of(method, "mean"), encoders, tmp_path)
    calls = []
    encoder = getattr(model.backbone, "base_model", None) or model.backbone.encoder
    encoder.register_forward_hook(lambda *_: calls.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_heads(model, splits["train"], splits["dev"], "accuracy", seed=0, name=method)
    assert len(calls) == 2 + 3 + 1  # a look at one text, and batches of 128 of train and of dev
    changed = {n for n, v in model.state_dict().items() if not torch.equal(before[n], v)}
    assert changed == {f"heads.{name}" for name in model.heads.state_dict()}
    # What was trained on standardised states reads raw ones.
    predicted = predict(model, splits["test"]).argmax(axis=-1)
    # FastBERT's heads learn what the last one says, whatever that is.
    learnt = predicted[:, 3] if method == "fastbert" else splits["test"].labels
    assert all((predicted[:, e] == learnt).mean() > 0.6 for e in range(3))


@pytest.mark.parametrize("method", ["deebert", "fastbert", "linear"])
def test_a_handful_of_examples_is_enough(method, encoders, splits, tmp_path):
    model = untrained(run_of(method, "mean"), encoders, tmp_path)
    few = splits["train"].take(np.arange(5))
    train_heads(model, few, splits["dev"], "accuracy", seed=0, name=method)
    assert np.isfinite(predict(model, splits["test"])).all()


@pytest.mark.parametrize("method", ["deebert", "fastbert"])
def test_states_too_large_for_memory_or_disk_train_the_same_heads(
    method, encoders, splits, tmp_path, monkeypatch
):
    monkeypatch.setattr(head_training, "STEPS", 40)

    def trained(**limits):
        with monkeypatch.context() as patched:
            for name, value in limits.items():
                patched.setattr(head_training, name, value)
            model = untrained(run_of(method, "first"), encoders, tmp_path)
            assert isinstance(
                read_states(model, splits["dev"]),
                TokenizedSplit if "ON_DISK" in limits else FrozenStates,
            )
            train_heads(model, splits["train"], splits["dev"], "accuracy", seed=0, name=method)
            return list(model.heads.state_dict().values())

    in_memory = trained()
    assert all(map(torch.equal, in_memory, trained(IN_MEMORY=0)))
    # Computed again in other batches, states differ in their last digits.
    for one, other in zip(in_memory, trained(ON_DISK=0), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


def test_a_disk_too_small_for_states_is_told(encoders, splits, tmp_path, small_disk, monkeypatch):
    monkeypatch.setattr(head_training, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    model = untrained(run_of("deebert", "first"), encoders, tmp_path)
    with pytest.raises(UserError, match=r"disk has no room for .* GiB of states .* set TMPDIR"):
        read_states(model, splits["train"])


class Given(nn.Module):
    """Stands for a frozen model: a text is one token, whose states are random but fixed."""

    def __init__(self, tokens: int, layers: int):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        scale = 1 + 9 * torch.rand(WIDTH, generator=draw)  # features of very different scales
        tables = 3 + scale * torch.randn(layers + 1, tokens, WIDTH, generator=draw)
        self.register_buffer("tables", tables)

    def forward(self, input_ids, attention_mask, output_hidden_states=True):
        states = tuple(self.tables[:, input_ids])
        return SimpleNamespace(hidden_states=states, logits=torch.zeros(len(input_ids), 2))


def noisy_problem(examples: int, layers: int) -> tuple[Given, TokenizedSplit]:
    """Labels that no linear function of the states tells apart without error."""
    backbone = Given(examples, layers)
    draw = np.random.default_rng(1)
    evidence = (backbone.tables[1:].numpy() - 3).mean(axis=(0, 2))
    labels = (evidence + evidence.std() * draw.normal(size=examples) > 0).astype(np.int64)
    ids = np.arange(examples).astype(str)
    tokens, offsets = np.arange(examples, dtype=np.int32), np.arange(examples + 1)
    return backbone, TokenizedSplit(
        tokens=tokens,
        segments=None,
        offsets=offsets,
        cut=np.zeros(examples, dtype=bool),
        padding=0,
        ids=ids,
        labels=labels,
    )


@pytest.mark.parametrize("solved", [False, True])
def test_converged_heads_are_at_scikit_learns_optimum(solved, monkeypatch):
    """Heads of one layer, once trained step by step and once solved."""
    backbone, data = noisy_problem(600, layers=3)
    heads = [nn.Linear(WIDTH, 2) for _ in range(2)]
    for head in heads:
        nn.init.zeros_(head.weight)
    heads = nn.ModuleList(heads if solved else [nn.Sequential(head) for head in heads])
    model = FrozenExits(backbone, heads, depth=3, pooling="first")
    monkeypatch.setattr("cascadebert.training.probes.STRENGTHS", (1e4,))
    monkeypatch.setattr(head_training, "DECAYS", (0.0,))
    train_heads(model, data, data, "accuracy", seed=0, name="noisy")
    logits = predict(model, data)
    for e in range(2):
        states = backbone.tables[e + 1].numpy()
        standard = (states - states.mean(axis=0)) / states.std(axis=0)
        best = LogisticRegression(C=1e4, max_iter=1000).fit(standard, data.labels)
        lowest = cross_entropy(
            torch.from_numpy(best.predict_log_proba(standard)), torch.from_numpy(data.labels)
        )
        reached = cross_entropy(
            torch.from_numpy(logits[:, e]).double(), torch.from_numpy(data.labels)
        )
        assert 0.3 < lowest < 0.68
        assert reached == pytest.approx(lowest.item(), rel=1e-6 if solved else 0.01)


def test_linear_heads_learn_by_the_methods_own_loss():
    class First(FrozenExits):
        """Only its first head learns."""

        def loss(self, logits, gold):
            return cross_entropy(logits[:, 0], gold)

    backbone, data = noisy_problem(600, layers=3)
    heads = nn.ModuleList(nn.Linear(WIDTH, 2) for _ in range(2))
    for parameter in heads.parameters():
        nn.init.zeros_(parameter)
    model = First(backbone, heads, depth=3, pooling="first")
    train_heads(model, data, data, "accuracy", seed=0, name="first")
    assert [bool(head.weight.any()) for head in model.heads] == [True, False]


def test_each_head_keeps_the_decay_and_the_epoch_that_are_best_for_it(monkeypatch):
    """The states of the first layer tell the labels; those of the second are noise."""
    backbone, data = noisy_problem(900, layers=3)
    backbone.tables[1, :, 0] += 30 * (2 * torch.from_numpy(data.labels) - 1)
    backbone.tables[2] = torch.randn(900, WIDTH, generator=torch.Generator().manual_seed(2))
    few, dev = data.take(np.arange(120)), data.take(np.arange(120, 900))

    def train_with(*decays):
        """The log loss of both heads on dev."""
        monkeypatch.setattr(head_training, "DECAYS", decays)
        heads = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, 2)) for _ in range(2))
        for parameter in heads.parameters():
            nn.init.zeros_(parameter)
        model = FrozenExits(backbone, heads, depth=3, pooling="first")
        scores = train_heads(model, few, dev, "accuracy", seed=0, name="noisy")
        assert len(scores) == 50
        logits = torch.from_numpy(predict(model, dev))
        return [cross_entropy(logits[:, e], torch.from_numpy(dev.labels)).item() for e in range(2)]

    weak, strong = train_with(0.1), train_with(30.0)
    assert weak[0] < strong[0] < 0.67
    # Of noise, the first epochs know least that is wrong.
    assert max(weak[1], strong[1]) < np.log(2) + 0.01
    assert train_with(0.1, 30.0) == pytest.approx(np.minimum(weak, strong), rel=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_linear_fit_is_scikit_learns_whatever_labels_there_are(classes, monkeypatch):
    monkeypatch.setattr("cascadebert.training.probes.STRENGTHS", (0.1,))
    draw = np.random.default_rng(0)
    states = 5 + 3 * draw.normal(size=(200, WIDTH))
    present = np.array([1, 3, 4])[:classes]  # of five labels
    labels = present[np.digitize(states[:, 0], [4.5, 5.5][: classes - 1])]
    weight, bias = fit_linear(states, labels, states, labels, 5)
    logits = states @ weight.T + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert probabilities[:, [0, 2]].max() < 1e-6
    if classes > 1:
        standard = (states - states.mean(axis=0)) / states.std(axis=0)
        expected = LogisticRegression(C=0.1, max_iter=1000).fit(standard, labels)
        np.testing.assert_allclose(
            probabilities[:, present], expected.predict_proba(standard), atol=1e-4
        )
    else:
        assert (logits.argmax(axis=1) == present[0]).all()


def test_the_development_split_chooses_the_penalty():
    """Of many features and few examples, a strong one."""
    draw = np.random.default_rng(0)
    states, labels = draw.normal(size=(60, 50)), draw.integers(2, size=60)
    dev_states, dev_labels = draw.normal(size=(500, 50)), draw.integers(2, size=500)
    weight, _ = fit_linear(states, labels, dev_states, dev_labels, 2)
    own_choice, _ = fit_linear(states, labels, states, labels, 2)
    assert np.abs(weight).max() < np.abs(own_choice).max() / 5


@pytest.mark.parametrize(("examples", "epochs"), [(10, 50), (3200, 10), (10**6, 3)])
def test_heads_get_enough_steps_whatever_the_size(examples, epochs):
    assert choose_head_settings(examples).epochs == epochs


def test_linear_exits_execute_what_was_computed(encoders, splits, tmp_path):
    """Layer by layer, one text at a time, stopping at the first exit that is certain."""
    model = untrained(run_of("linear", "mean"), encoders, tmp_path).eval()
    perturb(model.backbone)
    train_heads(model, splits["train"], splits["dev"], "accuracy", seed=0, name="linear")
    data = splits["test"]
    stored = Predictions(predict(model, data), np.array(model.depths), data.ids, data.labels)
    knobs = ENTROPY.knobs(stored)
    threshold = knobs[len(knobs) // 2]
    computed = ENTROPY.exit_index(stored, threshold)
    assert len(set(computed)) > 2
    encoder, layers = model.backbone.base_model, list_layers(model.backbone)
    for row, expected in enumerate(computed):
        inputs = data.batch(np.array([row]))
        with torch.no_grad():
            state = encoder.embeddings(inputs["input_ids"], inputs["token_type_ids"])
            for number, layer in enumerate(layers[:-1]):
                state = layer(state)
                logits = model.heads[number](state.mean(dim=1))
                probabilities = logits.double().softmax(dim=-1)
                if -(probabilities * probabilities.log()).sum() < threshold:
                    break
            else:
                number, logits = 3, model.backbone(**inputs).logits
        assert number == expected
        np.testing.assert_allclose(logits[0], stored.logits[row, number], atol=1e-5)
