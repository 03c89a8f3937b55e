import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cascadebert.data.predictions import Predictions
from cascadebert.systems import load_method, pabee
from cascadebert.systems.exits import NORMALISED_ENTROPY, speedup, sum_taken
from cascadebert.systems.pcee import EXIT_RULE, find_least_certain, first_certain_in_a_row
from tests.synthetic import predictions

LAYERS = tuple(range(1, 13))


def walk(entropies, threshold: float, patience: int) -> int:
    """The paper's loop over layers: a counter of confident exits, set back to 0 by any other."""
    counter = 0
    for layer, entropy in enumerate(entropies):
        counter = counter + 1 if entropy < threshold else 0
        if counter == patience:
            return layer
    return len(entropies) - 1


@settings(deadline=None)
@given(
    entropies=arrays(float, (7, 6), elements=st.integers(0, 4).map(lambda n: n / 4)),
    threshold=st.integers(0, 5).map(lambda n: n / 4),
    patience=st.integers(1, 8),
)
def test_it_leaves_where_the_papers_counter_is_full(entropies, threshold, patience):
    expected = [walk(row, threshold, patience) for row in entropies]
    assert first_certain_in_a_row(entropies, (threshold, patience)).tolist() == expected


def test_a_patience_of_one_is_the_entropy_rule():
    p = predictions(200, LAYERS)
    knobs = EXIT_RULE.knobs(p)
    for threshold in NORMALISED_ENTROPY.knobs(p)[::50]:
        taken = EXIT_RULE.exit_index(p, (threshold, 1))
        assert (taken == NORMALISED_ENTROPY.exit_index(p, threshold)).all()
    assert set(knobs[:, 1]) == set(range(1, 12))


def test_exits_in_a_row_need_not_agree():
    logits = np.array([[[5.0, 0.0], [0.0, 5.0], [5.0, 0.0]]], np.float32)
    p = Predictions(logits, np.arange(1.0, 4), np.array(["a"]), np.array([1]))
    assert EXIT_RULE.exit_index(p, (0.5, 2)).tolist() == [1]
    assert EXIT_RULE.answers(p)[0, 1] == 1  # that of the last exit in the row


def test_its_knobs_reach_from_all_layers_to_the_first():
    p = predictions(150, LAYERS)
    knobs = EXIT_RULE.knobs(p)
    speedups = np.array([speedup(EXIT_RULE.exit_index(p, knob), p.costs, 12) for knob in knobs])
    assert (min(speedups), max(speedups)) == (1, 12)
    for patience in (1, 2, 6):  # of each, every threshold that tells examples apart
        of_patience = np.sort(speedups[knobs[:, 1] == patience])
        assert np.diff(np.log(of_patience)).max() < 0.05


@pytest.mark.parametrize("exits", [1, 2, 5])
def test_its_sums_are_those_of_one_knob_after_another(exits):
    p = predictions(40, tuple(range(1, exits + 1)))
    signal, knobs = EXIT_RULE.signal(p), EXIT_RULE.knobs(p)
    values = np.random.default_rng(0).integers(-5, 5, size=signal.shape)
    expected = [
        sum(values[i, taken] for i, taken in enumerate(EXIT_RULE.first(signal, knob)))
        for knob in knobs
    ]
    assert sum_taken(EXIT_RULE, signal, knobs, values).tolist() == expected


def test_the_least_certain_of_a_row_counts():
    found = find_least_certain([[0.3, 0.1, 0.2, 0.4]], 2)
    assert found.tolist() == [[np.inf, 0.3, 0.2, 0.4]]
    assert np.isinf(find_least_certain([[0.3, 0.1]], 3)).all()


def test_it_shares_the_training_of_another_method():
    options = {"encoder": "a", "pooling": "mean"}
    method = load_method("pcee")
    assert method.candidates(options, []) == pabee.candidates(options, [])
    [candidate] = method.candidates({"encoder": "a", "trained_as": "berxit"}, [])
    assert [run.name for run in candidate.runs] == ["berxit-a"]
