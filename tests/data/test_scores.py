import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from cascadebert.data.scores import score


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1))
def test_scores_are_those_of_scikit_learn(pairs):
    predicted, labels = np.array(pairs).T
    assert score("accuracy", predicted, labels) == pytest.approx(
        100 * accuracy_score(labels, predicted)
    )
    assert score("f1", predicted, labels) == pytest.approx(
        100 * f1_score(labels, predicted, zero_division=0)
    )


def test_score_refuses_an_unknown_metric_and_an_empty_split():
    with pytest.raises(ValueError, match="accuracy, f1"):
        score("bleu", [1], [1])
    with pytest.raises(ValueError, match="no examples"):
        score("accuracy", [], [])
