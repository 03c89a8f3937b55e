"""Linear probes: what they read, and which exits count as undertrained beside them."""

import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cascadebert.data.predictions import Predictions
from cascadebert.encoders.pooling import pool
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.measures import compare_with_probes, mark_undertrained
from cascadebert.evaluation.points import measure_operating_points
from cascadebert.systems import load_method
from cascadebert.systems.exits import ENTROPY
from cascadebert.systems.method import Run
from cascadebert.training.loop import predict
from cascadebert.training.probes import EXAMPLES, fit_linear, predict_with_probes, read_exits
from tests.systems.test_systems import TRAINED, run_of
from tests.tiny import untrained


@pytest.mark.parametrize("method", TRAINED)
def test_a_probe_reads_the_states_of_every_exit(method, encoders, splits, tmp_path):
    model = untrained(run_of(method, "bert-4"), encoders, tmp_path).eval()
    logits, states = read_exits(model, splits["test"])
    np.testing.assert_array_equal(logits, predict(model, splits["test"]))
    assert states.shape == (len(splits["test"]), len(model.depths), 32)
    inputs = splits["test"].batch(np.arange(5))
    inside = next(part for part in model.modules() if hasattr(part, "base_model")).base_model
    with torch.no_grad():
        hidden = inside(**inputs, output_hidden_states=True).hidden_states
    for e, depth in enumerate(model.depths):
        expected = pool(hidden[depth], inputs["attention_mask"], model.exit_pooling(e))
        np.testing.assert_allclose(states[:5, e], expected, atol=1e-5)


@pytest.mark.parametrize("method", ["deebert", "linear"])
def test_the_probe_of_a_frozen_models_own_exit_reads_what_that_exit_reads(
    method, encoders, splits, tmp_path
):
    run = Run(method, "bert-4", (("pooling", "mean"),), (Run("finetune", "bert-4"),), frozen=True)
    model = untrained(run, encoders, tmp_path).eval()
    _, states = read_exits(model, splits["test"])
    inputs = splits["test"].batch(np.arange(5))
    with torch.no_grad():
        hidden = model.backbone(**inputs, output_hidden_states=True).hidden_states
    mask = inputs["attention_mask"]
    np.testing.assert_allclose(states[:5, 0], pool(hidden[1], mask, "mean"), atol=1e-5)
    np.testing.assert_allclose(states[:5, -1], pool(hidden[-1], mask, "first"), atol=1e-5)


@pytest.mark.parametrize("method", ["fastbert", "linear", "pabee"])
def test_training_states_may_be_read_in_reduced_precision(method, encoders, splits, tmp_path):
    model = untrained(run_of(method, "bert-4", pooling="mean"), encoders, tmp_path).eval()
    _, whole = read_exits(model, splits["dev"])
    _, reduced = read_exits(model, splits["dev"], precision="bf16")
    assert reduced.dtype == np.float32
    assert 0 < np.abs(whole - reduced).max() < 0.1


def test_probes_are_logistic_regressions_on_training_states(
    encoders, splits, tmp_path, monkeypatch
):
    monkeypatch.setattr("cascadebert.training.probes.STRENGTHS", (0.1,))
    model = untrained(Run("pabee", "bert-4"), encoders, tmp_path).eval()
    logits, probes = predict_with_probes(model, splits, seed=0)
    assert set(logits) == set(probes) == {"dev", "test"}
    _, of_train = read_exits(model, splits["train"], precision="auto")
    _, of_test = read_exits(model, splits["test"])
    for e in range(4):
        mean, deviation = of_train[:, e].mean(axis=0), of_train[:, e].std(axis=0)
        regression = LogisticRegression(C=0.1, max_iter=1000)
        regression.fit((of_train[:, e] - mean) / deviation, splits["train"].labels)
        expected = regression.predict_proba((of_test[:, e] - mean) / deviation)
        found = torch.from_numpy(probes["test"][:, e]).softmax(dim=-1)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_probe_needs_no_more_than_so_many_examples(encoders, splits, tmp_path, monkeypatch):
    assert EXAMPLES >= 1000
    monkeypatch.setattr("cascadebert.training.probes.EXAMPLES", 50)
    model = untrained(Run("finetune", "bert-4"), encoders, tmp_path).eval()
    _, few = predict_with_probes(model, splits, seed=0)
    _, again = predict_with_probes(model, splits, seed=0)
    _, others = predict_with_probes(model, splits, seed=1)
    assert np.array_equal(few["test"], again["test"])
    assert not np.allclose(few["test"], others["test"])


@pytest.mark.parametrize("method", ["finetune", "linear", "pabee"])
def test_probes_answer_a_batch_as_they_answer_the_whole_split(
    method, encoders, splits, tmp_path, monkeypatch
):
    fits = []

    def fit(*arguments):
        fits.append(fit_linear(*arguments))
        return fits[-1]

    monkeypatch.setattr("cascadebert.training.probes.fit_linear", fit)
    model = untrained(run_of(method, "bert-4"), encoders, tmp_path).eval()
    # More than a batch.
    splits = splits | {"test": splits["test"].take(np.tile(np.arange(120), 3))}
    logits, probes = predict_with_probes(model, splits, seed=0)
    for split in ("dev", "test"):
        expected, states = read_exits(model, splits[split])
        np.testing.assert_array_equal(logits[split], expected)
        for e, (weight, bias) in enumerate(fits):
            answers = (states[:, e] @ weight.T + bias).astype(np.float32)
            np.testing.assert_array_max_ulp(probes[split][:, e], answers, maxulp=1)


def test_states_of_a_large_split_are_not_kept(encoders, splits, tmp_path):
    model = untrained(Run("pabee", "bert-4"), encoders, tmp_path).eval()
    predict_with_probes(model, splits, seed=0)  # imports take memory, too
    many = splits["test"].take(np.tile(np.arange(120), 50))
    tracemalloc.start()
    try:
        _, probes = predict_with_probes(model, splits | {"test": many}, seed=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert probes["test"].shape == (6000, 4, 2)
    assert peak < 6000 * 4 * 32 * 4  # bytes of the states


def systems(gaps: list[float]) -> tuple[SystemPredictions, SystemPredictions]:
    """A system of 1,000 examples, and its probes, which are 80% right; both in two replicates."""
    gold = np.zeros(1000, dtype=np.int64)

    def right(percent: list[float]) -> Predictions:
        logits = np.zeros((1000, len(percent), 2), dtype=np.float32)
        for e, value in enumerate(percent):
            wrong = np.arange(1000) >= 10 * value
            logits[np.arange(1000), e, wrong.astype(int)] = 1 + np.arange(1000) / 1000
        costs = np.arange(1, len(percent) + 1, dtype=float)
        return Predictions(logits, costs, np.arange(1000).astype(str), gold)

    def made(percents) -> SystemPredictions:
        replicates = [{"dev": right(each), "test": right(each)} for each in percents]
        return SystemPredictions("words", "exits", ENTROPY, "accuracy", len(gaps), {"": replicates})

    # Replicates differ by a point each way.
    own = made([[80 + gap + shift for gap in gaps] for shift in (-1, 1)])
    return own, made([[80] * len(gaps)] * 2)


@pytest.mark.parametrize(
    ("gaps", "weak"), [([0, 3, -1.9], []), ([-2.1, 0, 0], [1]), ([-9, -2, -3], [1, 3])]
)
def test_an_exit_far_below_its_probe_is_undertrained(gaps, weak):
    own, probes = systems(gaps)
    choice = choose(own, [1.5])
    own, probes = ChosenSystem(own, choice), ChosenSystem(probes, choice)
    table = compare_with_probes(own, probes, ["test"])
    assert list(table["exit"][table["undertrained"]]) == weak
    np.testing.assert_allclose(table["gap"], gaps)
    np.testing.assert_allclose(table["probe"], 80)
    points = measure_operating_points(own, ["dev", "test"], Resampling(0, 100))
    assert not points["undertrained"].any()
    marked = mark_undertrained(points, table)
    assert (marked["undertrained"] == ((marked["split"] == "test") & bool(weak))).all()


def test_every_method_says_what_its_probe_reads(encoders, tmp_path):
    for name in TRAINED:
        pooling = untrained(run_of(name, "bert-4"), encoders, tmp_path).pooling
        assert pooling == ("mean" if name in ("fastbert", "linear") else "first")
        if "pooling" in load_method(name).OPTIONS["properties"]:
            run = run_of(name, "bert-4", pooling="mean")
            assert untrained(run, encoders, tmp_path).pooling == "mean"
