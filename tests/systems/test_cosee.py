"""COSEE against its formulas (He et al. 2025, and the authors' code), stated once more in loops."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from cascadebert.data.predictions import Predictions
from cascadebert.models.cosee import (
    ALPHA,
    BETA,
    EPSILON,
    THRESHOLDS,
    calibration_loss,
    compute_energy,
    find_exits,
    weigh_exits,
)
from cascadebert.systems.cosee import EXIT_RULE, energy
from cascadebert.systems.method import Run
from cascadebert.training.loop import Examples, train
from tests.tiny import SETTINGS, perturb, untrained

RUN = Run("cosee", "bert-4")


def take_exit(energies: np.ndarray, threshold: float) -> int:
    """The exit of one example, whose last exit has no energy."""
    for exit, value in enumerate(energies):
        if value < threshold:
            return exit
    return len(energies)


def restate_loss(logits: np.ndarray, gold: np.ndarray, thresholds, sharpness: float) -> float:
    """The objective of a batch, example by example, threshold by threshold, exit by exit."""
    batch, exits, _ = logits.shape
    energies = 1 / (1 + np.exp(logits[:, :-1]).sum(axis=-1))
    losses = -log_softmax(logits, axis=-1)[np.arange(batch), :, gold]
    classification = 0.0
    for threshold in thresholds:
        for example in range(batch):
            left = take_exit(energies[example], threshold)
            drawn = np.exp([-sharpness * abs(left - exit) for exit in range(exits)])
            classification += (drawn / drawn.sum() * losses[example]).sum()
    classification /= batch * len(thresholds)

    hinges = []
    for exit in range(exits - 1):
        right = logits[:, exit].argmax(axis=-1) == gold
        if right.any() and not right.all():
            gap = energies[right, exit].mean() - energies[~right, exit].mean()
            hinges.append(max(0.0, gap + EPSILON))
    return classification + ALPHA * (np.mean(hinges) if hinges else 0.0)


def test_the_objective_is_the_papers(encoders, batch, tmp_path):
    inputs, gold = batch
    model = untrained(RUN, encoders, tmp_path)
    perturb(model.eval())  # no dropout
    model.bounds.copy_(torch.tensor([0.1, 0.4]))
    for step in (0, 7):
        torch.manual_seed(step)
        logits, loss = model.objective(inputs, gold, step, 10)
        torch.manual_seed(step)
        thresholds = 0.1 + 0.3 * torch.rand(THRESHOLDS).double().numpy()
        expected = restate_loss(
            logits.detach().double().numpy(), gold.numpy(), thresholds, BETA * step / 10
        )
        assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_weights_start_equal_and_end_at_the_exit_that_is_taken():
    torch.testing.assert_close(weigh_exits(4, 0.0), torch.full((4, 4), 0.25))
    weights = weigh_exits(4, float(BETA))
    torch.testing.assert_close(weights, torch.eye(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))


def test_examples_leave_at_the_first_low_energy():
    energies = torch.tensor([[0.5, 0.2], [0.1, 0.3], [0.5, 0.5]])
    exits = find_exits(energies, torch.tensor([0.0, 0.25, 0.4, 1.0]))
    assert exits.tolist() == [[2, 2, 2], [1, 0, 2], [1, 0, 2], [0, 0, 0]]


def test_calibration_has_no_say_where_all_answers_are_right():
    energies = torch.tensor([[0.5, 0.2], [0.1, 0.3]], requires_grad=True)
    right = torch.tensor([[True, True], [True, False]])
    assert calibration_loss(energies, right).item() == pytest.approx(0.2 - 0.3 + EPSILON)
    nothing = calibration_loss(energies, torch.ones_like(right))
    assert nothing.item() == 0
    nothing.backward()


def test_rule_and_training_have_the_same_energy_and_exits():
    logits = np.random.default_rng(0).normal(scale=3, size=(60, 4, 3)).astype(np.float32)
    predictions = Predictions(logits, np.arange(1.0, 5), np.arange(60).astype(str), np.zeros(60))
    of_training = compute_energy(torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(energy(predictions), of_training, rtol=1e-5)
    thresholds = [0.05, 0.2]
    exits = find_exits(torch.from_numpy(of_training[:, :-1]), torch.tensor(thresholds))
    for threshold, expected in zip(thresholds, exits.numpy(), strict=True):
        assert np.array_equal(EXIT_RULE.exit_index(predictions, threshold), expected)
    knobs = EXIT_RULE.knobs(predictions)
    assert (EXIT_RULE.exit_index(predictions, knobs[0]) == 3).all()
    assert (EXIT_RULE.exit_index(predictions, knobs[-1]) == 0).all()


def test_thresholds_lie_within_the_energies_of_the_epoch_before(encoders, splits, tmp_path):
    model = untrained(RUN, encoders, tmp_path)
    ranges, objective = [], model.objective

    def watch(*arguments):
        ranges.append(tuple(model.bounds.tolist()))
        logits, loss = objective(*arguments)
        of_step.append(compute_energy(logits[:, :-1]).aminmax())
        return logits, loss

    of_step: list = []
    model.objective = watch
    examples = Examples(splits["train"].take(np.arange(64)), splits["dev"], "accuracy")
    train(model, examples, SETTINGS, seed=0, name="cosee")  # 3 epochs of 4 steps
    assert ranges[:4] == [(0, 1)] * 4
    for epoch in (1, 2):
        before = of_step[4 * epoch - 4 : 4 * epoch]
        low, high = min(low for low, _ in before), max(high for _, high in before)
        assert ranges[4 * epoch : 4 * epoch + 4] == [(low.item(), high.item())] * 4


def test_it_learns(encoders, splits, tmp_path):
    model = untrained(RUN, encoders, tmp_path)
    scores = train(
        model, Examples(splits["train"], splits["dev"], "accuracy"), SETTINGS, seed=0, name="cosee"
    )
    assert max(scores) > 70  # of all exits on average
