import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.training.losses import difficulty_margin_loss

batches = st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=20)
margins = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7])


def loss_by_definition(confidence, difficult, margin):
    """Eq. 5 and 6 pair by pair, with the sign that the paper's text asks for."""
    losses = []
    for c_i, d_i in zip(confidence, difficult, strict=True):
        for c_j, d_j in zip(confidence, difficult, strict=True):
            if not d_i and d_j:
                losses.append(max(0.0, margin - (c_i - c_j)))
    return sum(losses) / len(losses) if losses else 0.0


@given(batches, margins)
def test_loss_is_its_definition(batch, margin):
    confidence, difficult = (list(column) for column in zip(*batch, strict=True))
    expected = pytest.approx(loss_by_definition(confidence, difficult, margin), abs=1e-12)
    of_lists = difficulty_margin_loss(confidence, difficult, margin)
    of_arrays = difficulty_margin_loss(np.array(confidence), np.array(difficult), margin)
    of_tensors = difficulty_margin_loss(
        torch.tensor(confidence, dtype=torch.float64), torch.tensor(difficult), margin
    )
    assert isinstance(of_arrays, float)
    assert of_tensors.shape == ()
    assert of_lists == of_arrays == expected
    assert of_tensors.item() == expected


def test_only_unconfident_easy_examples_cost():
    assert difficulty_margin_loss([0.9, 0.5], [False, True], 0.3) == 0
    assert difficulty_margin_loss([0.5, 0.9], [False, True], 0.3) == pytest.approx(0.7)


def test_gradient_raises_easy_and_lowers_difficult_confidence():
    confidence = torch.tensor([0.6, 0.7, 0.8], requires_grad=True)
    difficulty_margin_loss(confidence, torch.tensor([False, True, True]), 0.5).backward()
    torch.testing.assert_close(confidence.grad, torch.tensor([-1.0, 0.5, 0.5]))


def test_gradient_is_the_numerical_one():
    confidence = torch.rand(9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    difficult = torch.arange(9) % 3 == 0
    assert torch.autograd.gradcheck(
        lambda c: difficulty_margin_loss(c, difficult, 0.3), confidence.requires_grad_()
    )


@pytest.mark.parametrize("difficult", [[True, True], [False, False]])
def test_without_pairs_the_loss_is_zero_and_has_a_gradient(difficult):
    confidence = torch.tensor([0.6, 0.7], requires_grad=True)
    loss = difficulty_margin_loss(confidence, torch.tensor(difficult), 0.5)
    loss.backward()
    assert loss.item() == 0
    assert confidence.grad.tolist() == [0, 0]


def test_only_one_dimension_is_accepted():
    with pytest.raises(ValueError, match="one dimension"):
        difficulty_margin_loss(torch.rand(4, 2), torch.zeros(4, 2, dtype=torch.bool), 0.5)
    with pytest.raises(ValueError, match="same length"):
        difficulty_margin_loss([0.5, 0.6], [True], 0.5)


def test_columns_of_a_table_are_read_in_their_order():
    """Whatever their index, and backwards, too."""
    confidence, difficult = np.array([0.9, 0.6, 0.7]), np.array([False, True, False])
    expected = difficulty_margin_loss(confidence.tolist(), difficult.tolist(), 0.4)
    for index in ([5, 6, 7], [2, 1, 0]):
        columns = pd.DataFrame({"confidence": confidence, "difficult": difficult}, index)
        assert difficulty_margin_loss(columns["confidence"], columns["difficult"], 0.4) == expected
    backwards = difficulty_margin_loss(confidence[::-1], difficult[::-1], 0.4)
    assert backwards == pytest.approx(expected)


@pytest.mark.parametrize("difficult", [[0, 1, np.nan], [5, 0, 3], torch.tensor([0, 2, 1])])
def test_what_is_no_boolean_is_refused(difficult):
    with pytest.raises(ValueError, match="difficult must be boolean"):
        difficulty_margin_loss([0.5, 0.6, 0.7], difficult, 0.5)
