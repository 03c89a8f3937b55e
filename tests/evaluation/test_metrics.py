from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from cascadebert.evaluation.metrics import (
    area_under_risk_coverage,
    difficulty_inversion_score,
    expected_calibration_error,
    reliability_bins,
)

# Few distinct values, so that ties and bin edges occur.
coarse = st.lists(st.tuples(st.sampled_from([k / 20 for k in range(21)]), st.booleans()))
fine = st.lists(st.tuples(st.floats(0, 1), st.booleans()), unique_by=lambda pair: pair[0])


def columns(pairs):
    return np.array([c for c, _ in pairs], float), np.array([r for _, r in pairs], bool)


def inversion_score_by_definition(confidence, correct):
    easy, difficult = confidence[correct], confidence[~correct]
    pairs = [(e, d) for e in easy for d in difficult]
    return 1 - sum(d > e for e, d in pairs) / len(pairs) if pairs else np.nan


def calibration_error_by_definition(confidence, correct, bins):
    error = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if m == 0:
            inside |= confidence == 0
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            error += inside.sum() / len(confidence) * gap
    return error


@given(coarse | fine)
def test_difficulty_inversion_score_is_its_definition(pairs):
    confidence, correct = columns(pairs)
    np.testing.assert_allclose(
        difficulty_inversion_score(confidence, correct),
        inversion_score_by_definition(confidence, correct),
    )


@given(fine.filter(lambda pairs: {right for _, right in pairs} == {True, False}))
def test_difficulty_inversion_score_without_ties_is_the_roc_auc(pairs):
    confidence, correct = columns(pairs)
    assert difficulty_inversion_score(confidence, correct) == pytest.approx(
        roc_auc_score(correct, confidence)
    )


def test_confident_mistakes_are_the_inversions():
    assert difficulty_inversion_score([0.9, 0.6], [True, False]) == 1
    assert difficulty_inversion_score([0.6, 0.9], [True, False]) == 0
    assert difficulty_inversion_score([0.7, 0.7], [True, False]) == 1


@pytest.mark.parametrize("correct", [[], [True, True], [False]])
def test_difficulty_inversion_score_is_undefined_without_pairs(correct):
    assert np.isnan(difficulty_inversion_score(np.full(len(correct), 0.5), correct))


def test_difficulty_inversion_score_is_not_quadratic():
    rng = np.random.default_rng(0)
    confidence = rng.random(500_000)
    correct = rng.random(500_000) < confidence
    assert difficulty_inversion_score(confidence, correct) == pytest.approx(
        roc_auc_score(correct, confidence)
    )


@given(coarse, st.sampled_from([1, 7, 10, 15]))
def test_calibration_error_is_its_definition(pairs, bins):
    confidence, correct = columns(pairs)
    expected = calibration_error_by_definition(confidence, correct, bins) if pairs else np.nan
    np.testing.assert_allclose(
        expected_calibration_error(confidence, correct, bins=bins), expected, atol=1e-12
    )


@given(fine.filter(len))
def test_reliability_bins_are_those_of_scikit_learn_and_of_the_calibration_error(pairs):
    confidence, correct = columns(pairs)
    table = reliability_bins(confidence, correct)
    assert list(table) == ["lower", "upper", "count", "confidence", "accuracy"]
    assert len(table) == 10
    assert table["count"].sum() == len(confidence)
    used = table[table["count"] > 0]
    error = (used["count"] * (used["accuracy"] - used["confidence"]).abs()).sum() / len(confidence)
    assert expected_calibration_error(confidence, correct) == pytest.approx(error)
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose(used["accuracy"], accuracy)
    np.testing.assert_allclose(used["confidence"], mean_confidence)


@pytest.mark.parametrize(
    ("examples", "classes", "expected"), [(872, 2, 0.024), (2000, 2, 0.016), (2000, 3, 0.020)]
)
def test_chance_alone_gives_a_calibrated_model_an_ece(examples, classes, expected):
    """By as much as docs/reference/methods.md says."""
    draw = np.random.default_rng(0)
    errors = []
    for _ in range(1000):
        confidence = draw.uniform(1 / classes, 1, examples)
        correct = draw.random(examples) < confidence
        errors.append(expected_calibration_error(confidence, correct))
    assert np.mean(errors) == pytest.approx(expected, abs=0.0005)


def test_bins_are_closed_on_the_right():
    table = reliability_bins([0.0, 0.1, 0.3, 0.6, 0.7, 1.0], np.ones(6, bool))
    assert table["count"].tolist() == [2, 0, 1, 0, 0, 1, 1, 0, 0, 1]
    np.testing.assert_allclose(table["lower"], np.arange(10) / 10)
    np.testing.assert_allclose(table["upper"], np.arange(1, 11) / 10)
    assert table["confidence"][0] == pytest.approx(0.05)
    assert np.isnan(table["accuracy"][1])


@given(coarse.filter(len), st.data())
def test_weights_count_examples(pairs, data):
    confidence, correct = columns(pairs)
    rows = st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs))
    weights = np.array([data.draw(rows), data.draw(rows)])
    for measure in (difficulty_inversion_score, expected_calibration_error):
        repeated = [measure(np.repeat(confidence, row), np.repeat(correct, row)) for row in weights]
        np.testing.assert_allclose(
            measure(confidence, correct, weights=weights), repeated, atol=1e-12
        )


def risk_coverage_by_definition(confidence, correct) -> float:
    """The mean over all orders of equal confidences of the mean over k of the errors among k."""
    found = []
    for order in permutations(range(len(confidence))):
        ranked = [confidence[i] for i in order]
        if ranked != sorted(confidence, reverse=True):
            continue
        errors = [not correct[i] for i in order]
        risks = [sum(errors[:k]) / k for k in range(1, len(errors) + 1)]
        found.append(sum(risks) / len(risks))
    return sum(found) / len(found)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6))
def test_area_under_risk_coverage_is_its_definition(pairs):
    confidence, correct = map(list, zip(*pairs, strict=True))
    expected = risk_coverage_by_definition(confidence, correct)
    assert area_under_risk_coverage(confidence, correct) == pytest.approx(expected)


def test_a_perfect_order_has_the_smallest_area():
    right = np.array([True] * 8 + [False] * 2)
    best = area_under_risk_coverage(np.arange(10)[::-1], right)
    worst = area_under_risk_coverage(np.arange(10), right)
    assert best == pytest.approx((1 / 9 + 2 / 10) / 10)
    assert worst > area_under_risk_coverage(np.zeros(10), right) == pytest.approx(0.2)
    assert np.isnan(area_under_risk_coverage([], []))


@settings(deadline=None)
@given(st.data())
def test_weights_of_the_area_are_repetitions(data):
    n = data.draw(st.integers(1, 8))
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    confidence, correct = draw.integers(0, 4, n) / 4, draw.integers(0, 2, n).astype(bool)
    weights = draw.integers(0, 3, size=(5, n))
    found = area_under_risk_coverage(confidence, correct, weights.astype(float))
    for value, row in zip(found, weights, strict=True):
        alone = area_under_risk_coverage(np.repeat(confidence, row), np.repeat(correct, row))
        assert value == pytest.approx(alone, nan_ok=True)


@pytest.mark.parametrize("measure", [difficulty_inversion_score, expected_calibration_error])
def test_lists_and_tensors_are_as_good_as_arrays(measure):
    confidence, correct = [0.5, 0.75, 1.0, 0.625], [True, False, True, False]
    expected = measure(np.array(confidence), np.array(correct))
    tensor = torch.tensor(confidence, dtype=torch.bfloat16, requires_grad=True)
    assert measure(confidence, correct) == expected
    assert measure(tensor, torch.tensor(correct)) == expected
    assert isinstance(expected, float)


@pytest.mark.parametrize("measure", [difficulty_inversion_score, expected_calibration_error])
@pytest.mark.parametrize(
    ("confidence", "correct"),
    [([0.5], [True, False]), ([[0.5]], [[True]]), ([np.nan], [True]), ([0.5, 0.6], [2, 1])],
)
def test_what_is_no_measurement_is_refused(measure, confidence, correct):
    with pytest.raises(ValueError, match=r"confidence|correct"):
        measure(confidence, correct)


def test_calibration_needs_probabilities():
    with pytest.raises(ValueError, match="between 0 and 1"):
        expected_calibration_error([1.5], [True])
