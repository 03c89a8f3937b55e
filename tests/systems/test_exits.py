from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import entropy as scipy_entropy

from cascadebert.data.predictions import Predictions
from cascadebert.systems.exits import (
    CONFIDENCE,
    CONFIDENCES,
    ENTROPY,
    LAST,
    MOST_GRID,
    MOST_KNOBS,
    NORMALISED_ENTROPY,
    PATIENCE,
    entropy,
    first_certain,
    first_confident,
    first_patient,
    normalised_entropy,
    speedup,
    sum_taken,
)
from tests.synthetic import RULES, predictions

shapes = array_shapes(min_dims=2, max_dims=2, max_side=12)
levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
LAYERS = tuple(range(1, 13))


def cascade(confidence, threshold):
    """Algorithm 1 of the paper for one example."""
    for k, c in enumerate(confidence[:-1]):
        if c > threshold:
            return k
    return len(confidence) - 1


def deebert(entropies, threshold):
    """Algorithm 1 of DeeBERT for one example."""
    for layer, h in enumerate(entropies):
        if h < threshold:
            return layer
    return len(entropies) - 1


def fastbert(probabilities, speed):
    """Eq. 7 of FastBERT for one example, `[exits, labels]`."""
    for layer, p in enumerate(probabilities):
        if sum(p * np.log(p)) / np.log(1 / len(p)) < speed:
            return layer
    return len(probabilities) - 1


def pabee(labels, patience):
    """Section 3.2 of PABEE for one example; layers count from 1 there."""
    count = 0
    for layer, label in enumerate(labels):
        if layer > 0:
            count = count + 1 if label == labels[layer - 1] else 0
        if count == patience:
            return layer
    return len(labels) - 1


@given(arrays(float, shapes, elements=levels), levels)
def test_thresholds_are_as_in_the_papers_algorithms(values, threshold):
    assert first_confident(values, threshold).tolist() == [cascade(v, threshold) for v in values]
    assert first_certain(values, threshold).tolist() == [deebert(v, threshold) for v in values]


@given(arrays(np.int64, shapes, elements=st.integers(0, 2)), st.integers(1, 13))
def test_patience_is_as_in_pabee(labels, patience):
    taken = first_patient(labels, patience)
    assert taken.tolist() == [pabee(row, patience) for row in labels]
    assert (taken >= min(patience, labels.shape[1] - 1)).all()


@given(arrays(float, (5, 4), elements=levels), arrays(float, 4, elements=levels))
def test_every_exit_may_have_its_threshold(values, thresholds):
    expected = [next((k for k in range(3) if row[k] > thresholds[k]), 3) for row in values]
    assert first_confident(values, thresholds).tolist() == expected
    thresholds[-1] = -1  # the last one emits anyway
    assert first_confident(values, thresholds).tolist() == expected


@pytest.mark.parametrize("labels", [2, 3, 5])
@given(speed=st.floats(0, 1))
def test_normalised_entropy_is_as_in_fastbert(labels, speed):
    p = predictions(30, LAYERS, labels=labels)
    expected = [fastbert(example, speed) for example in p.probabilities]
    assert NORMALISED_ENTROPY.exit_index(p, speed).tolist() == expected


@given(data=st.data())
def test_a_rule_with_several_thresholds_is_the_papers_algorithm_with_them(data):
    p = predictions(30, (2, 8, 20))
    thresholds = data.draw(st.lists(st.floats(0.4, 1), min_size=2, max_size=2))
    expected = []
    for confidence in p.confidence:
        taken = 0
        while taken < 2 and not confidence[taken] > thresholds[taken]:
            taken += 1
        expected.append(taken)
    assert CONFIDENCES.exit_index(p, thresholds).tolist() == expected


def test_threshold_itself_is_not_enough():
    assert first_confident([[0.8, 0.9]], 0.8).tolist() == [1]
    assert first_certain([[0.2, 0.1]], 0.2).tolist() == [1]


def test_rules_leave_their_input_alone():
    values = np.array([[0.1, 0.2]])
    first_confident(values, 0.5)
    first_certain(values, 0.5)
    assert values.tolist() == [[0.1, 0.2]]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="patience"):
        first_patient([[0, 1]], 0)
    with pytest.raises(ValueError, match="patience"):
        first_patient([[0, 1]], 1.5)
    with pytest.raises(ValueError, match="examples, exits"):
        first_confident([0.5, 0.6], 0.5)
    with pytest.raises(ValueError, match="examples, exits"):
        first_patient([0, 1], 1)


def test_entropy_is_in_nats():
    p = predictions(20, LAYERS, labels=3)
    np.testing.assert_allclose(entropy(p), scipy_entropy(p.probabilities, axis=-1))
    in_base_3 = scipy_entropy(p.probabilities, base=3, axis=-1)
    np.testing.assert_allclose(normalised_entropy(p), in_base_3)
    assert 0 <= in_base_3.min() < in_base_3.max() <= 1


@given(st.lists(st.integers(0, 1), min_size=1))
def test_cascade_of_2_and_12_layers_speeds_up_between_12_14ths_and_6(taken):
    value = speedup(taken, [2, 14], 12)
    assert 12 / 14 - 1e-12 <= value <= 6 + 1e-12
    assert value == pytest.approx(12 * len(taken) / sum([2, 14][k] for k in taken))
    assert value == speedup(np.array(taken) == 1, [2, 14], 12)  # whether an example went on


@pytest.mark.parametrize(
    "rule", [CONFIDENCE, ENTROPY, NORMALISED_ENTROPY, PATIENCE], ids=lambda rule: rule.name
)
@pytest.mark.parametrize("labels", [2, 3])
def test_knobs_trade_speed_monotonically_from_one_extreme_to_the_other(rule, labels):
    p = predictions(100, LAYERS, labels=labels)
    knobs = rule.knobs(p)
    speedups = [speedup(rule.exit_index(p, knob), p.costs, 12) for knob in knobs]
    if rule not in (ENTROPY, NORMALISED_ENTROPY):
        speedups.reverse()
    assert (np.diff(knobs) > 0).all()
    assert (np.diff(speedups) >= 0).all()
    assert speedups[0] == 1
    assert speedups[-1] == 12
    if rule is PATIENCE:  # with its authors' patience, PABEE runs two layers at least
        assert 1 < speedups[-2] <= 6


@pytest.mark.parametrize(
    "rule", [CONFIDENCE, ENTROPY, NORMALISED_ENTROPY], ids=lambda rule: rule.name
)
@given(data=st.data())
def test_knobs_reach_all_that_any_threshold_reaches(rule, data):
    logits = data.draw(arrays(np.float32, (4, 3, 2), elements=st.integers(-2, 2).map(float)))
    p = Predictions(logits, np.arange(1.0, 4.0), np.array(list("abcd")), np.zeros(4, np.int64))
    signal = rule.signal(p)
    thresholds = [-1.0, 2.0, *np.unique(signal), *(np.unique(signal) + 1e-12)]
    assert {tuple(rule.exit_index(p, knob)) for knob in rule.knobs(p)} == {
        tuple(rule.first(signal, threshold)) for threshold in thresholds
    }


@given(arrays(np.float32, (4, 3, 2), elements=st.integers(-2, 2).map(float)))
def test_grid_reaches_all_that_any_pair_of_thresholds_reaches(logits):
    p = Predictions(logits, np.arange(1.0, 4.0), np.array(list("abcd")), np.zeros(4, np.int64))
    values = [-1.0, 2.0, *np.unique(p.confidence)]
    assert {tuple(CONFIDENCES.exit_index(p, knob)) for knob in CONFIDENCES.knobs(p)} == {
        tuple(CONFIDENCES.exit_index(p, pair)) for pair in product(values, values)
    }


def test_grid_is_thinned_to_a_few_thousand_combinations():
    p = predictions(5000, (2, 8, 20))
    knobs = CONFIDENCES.knobs(p)
    assert 0.9 * MOST_GRID < len(knobs) < 1.1 * MOST_GRID
    assert len(np.unique(knobs, axis=0)) == len(knobs)
    # every value of the one with every value of the other, both from one extreme to the other
    first, second = (np.unique(values) for values in knobs.T)
    assert len(first) * len(second) == len(knobs)
    assert first[0] == second[0] == 0
    assert first[-1] == second[-1] == 1


def test_with_two_exits_several_thresholds_are_one():
    p = predictions(200, (2, 14))
    np.testing.assert_array_equal(CONFIDENCES.knobs(p)[:, 0], CONFIDENCE.knobs(p))
    for knob in CONFIDENCE.knobs(p):
        one, several = CONFIDENCE.exit_index(p, knob), CONFIDENCES.exit_index(p, [knob])
        assert (one == several).all()


def test_knobs_do_not_decide_by_the_last_digits():
    p = predictions(200, LAYERS)
    noisy = p.confidence + np.random.default_rng(0).uniform(-1e-9, 1e-9, p.confidence.shape)
    same = [
        np.array_equal(first_confident(p.confidence, knob), first_confident(noisy, knob))
        for knob in CONFIDENCE.knobs(p)
    ]
    assert np.mean(same) > 0.99


def test_thinned_knobs_are_near_every_speedup():
    p = predictions(5000, LAYERS)
    knobs = CONFIDENCE.knobs(p)
    assert len(knobs) == MOST_KNOBS + 2
    speedups = np.sort([speedup(CONFIDENCE.exit_index(p, knob), p.costs, 12) for knob in knobs])
    assert np.diff(np.log(speedups)).max() < 0.02


def test_two_labels_make_confidence_and_entropy_the_same_rule():
    p = predictions(100, LAYERS)
    by_confidence = {tuple(CONFIDENCE.exit_index(p, knob)) for knob in CONFIDENCE.knobs(p)}
    by_entropy = {tuple(ENTROPY.exit_index(p, knob)) for knob in ENTROPY.knobs(p)}
    assert by_confidence == by_entropy


def test_last_has_nothing_to_choose():
    p = predictions(7, (6.0,))
    (knob,) = LAST.knobs(p)
    assert LAST.exit_index(p, knob).tolist() == [0] * 7
    assert LAST.exit_index(predictions(2, LAYERS), knob).tolist() == [11, 11]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_one_exit_is_enough_for_every_rule(rule):
    p = predictions(5, (3.0,))
    for knob in rule.knobs(p):
        assert rule.exit_index(p, knob).tolist() == [0] * 5


def test_rules_go_by_their_names():
    names = "confidence, confidences, entropy, normalised entropy, patience, last"
    assert RULES.keys() == set(names.split(", "))


@given(st.data())
@settings(max_examples=60)
@pytest.mark.parametrize(
    "rule", [CONFIDENCE, CONFIDENCES, ENTROPY, NORMALISED_ENTROPY, PATIENCE, LAST]
)
def test_sums_over_the_exits_taken_are_those_of_one_knob_after_another(rule, data):
    exits = data.draw(st.integers(1, 4))
    seed = data.draw(st.integers(0, 2**31))
    draw = np.random.default_rng(seed)
    # Few values, so that examples have the same confidence, and knobs lie on it.
    logits = draw.integers(0, 3, size=(data.draw(st.integers(1, 12)), exits, 2)).astype(np.float32)
    ids = np.arange(len(logits)).astype(str)
    predictions = Predictions(logits, np.arange(1.0, exits + 1), ids, np.zeros(len(ids), int))
    signal, knobs = rule.signal(predictions), rule.knobs(predictions)
    if rule.first in (first_confident, first_certain):
        knobs = np.concatenate([knobs, signal.ravel()])
    values = draw.integers(-5, 5, size=signal.shape)
    expected = [
        sum(values[i, taken] for i, taken in enumerate(rule.first(signal, knob))) for knob in knobs
    ]
    assert sum_taken(rule, signal, knobs, values).tolist() == expected
