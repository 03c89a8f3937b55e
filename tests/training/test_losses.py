import numpy as np
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


@pytest.mark.slow
def test_training_with_it_lowers_the_confidence_of_difficult_examples():
    # The label is the sign of the first feature. The second one says which labels are noise.
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 2, generator=generator)
    labels = (inputs[:, 0] > 0).long()
    difficult = inputs[:, 1] > 0.5
    noise = torch.rand(400, generator=generator) < 0.4
    labels = torch.where(difficult & noise, 1 - labels, labels)

    def trained_confidence(weight):
        torch.manual_seed(1)
        model = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
        for _ in range(150):
            logits = model(inputs)
            confidence = logits.softmax(-1).amax(-1)
            loss = torch.nn.functional.cross_entropy(logits, labels)
            loss = loss + weight * difficulty_margin_loss(confidence, difficult, 0.5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return confidence.detach()

    plain, regularised = trained_confidence(0.0), trained_confidence(0.5)
    assert regularised[difficult].mean() < plain[difficult].mean() - 0.05
    gap = regularised[~difficult].mean() - regularised[difficult].mean()
    assert gap > plain[~difficult].mean() - plain[difficult].mean() + 0.05
