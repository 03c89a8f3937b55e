from dataclasses import replace

import numpy as np
import pytest

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.points import measure_operating_points
from cascadebert.systems import cascade, deferral
from cascadebert.systems.deferral import FOLDS, GainEstimator, fit_rule
from cascadebert.systems.exits import CONFIDENCE
from tests.synthetic import predictions

COSTS = (2.0, 14.0)


def specialist(n: int, split: str) -> Predictions:
    """The first member doubts its answers 1, but the second is no better on these.

    The second is a specialist: it is right where the first is unsure and says 0. Confidence cannot
    tell the two cases apart; the first member's probabilities can.
    """
    rng = np.random.default_rng([len(split), n])
    gold = rng.integers(2, size=n)
    said = rng.integers(2, size=n)
    unsure = rng.random(n) < 0.5
    right_first = np.where(unsure, rng.random(n) < 0.55, rng.random(n) < 0.97)
    said = np.where(right_first, gold, 1 - gold)
    margin = np.where(unsure, rng.uniform(0.05, 0.3, n), rng.uniform(2, 3, n))
    right_second = np.where(unsure & (said == 0), rng.random(n) < 0.97, right_first)
    logits = np.zeros((n, 2, 2), np.float32)
    logits[np.arange(n), 0, said] = margin
    logits[np.arange(n), 1, np.where(right_second, gold, 1 - gold)] = 3
    return Predictions(logits, np.array(COSTS), np.array([f"{split}{i}" for i in range(n)]), gold)


def test_it_learns_right_of_the_second_less_right_of_the_first(monkeypatch):
    seen = []

    class Recorder:
        def __init__(self, decay):
            self.decay = decay

        def predict(self, read):  # the second decay has the smallest error
            return np.full(len(read), 0.0 if self.decay == deferral.DECAYS[1] else 2.0)

    def record(read, gain, decay):
        seen.append((read, gain))
        return Recorder(decay)

    monkeypatch.setattr(deferral, "_fit", record)
    dev = predictions(50, COSTS, split="dev")
    estimator = GainEstimator(dev)
    assert [model.decay for model in estimator.models] == [deferral.DECAYS[1]] * FOLDS
    for part, (read, gain) in enumerate(seen[:FOLDS]):
        rows = [i for i in range(50) if i % FOLDS != part]
        expected = [
            int(dev.predicted[i, 1] == dev.labels[i]) - int(dev.predicted[i, 0] == dev.labels[i])
            for i in rows
        ]
        assert gain.tolist() == expected
        # of the first member alone
        other = replace(dev, logits=dev.logits.copy())
        other.logits[:, 1] = 7
        np.testing.assert_array_equal(read, deferral.read_first_member(other)[rows])


def test_no_example_is_judged_by_a_model_that_saw_its_label(monkeypatch):
    monkeypatch.setattr(deferral, "DECAYS", (1.0,))
    dev = predictions(100, COSTS, split="dev")
    estimate = GainEstimator(dev).estimate(dev)
    for i in (0, 17, 99):
        # Turn the label of one example: the estimates of its part stay, others change.
        labels = dev.labels.copy()
        labels[i] = 1 - labels[i]
        again = GainEstimator(replace(dev, labels=labels)).estimate(dev)
        part = np.arange(100) % FOLDS == i % FOLDS
        assert (again[part] == estimate[part]).all()
        if dev.predicted[i, 0] != dev.predicted[i, 1]:  # else no gain has changed
            assert (again[~part] != estimate[~part]).any()
    test = predictions(60, COSTS)
    estimator = GainEstimator(dev)
    parts = [model.predict(deferral.read_first_member(test)) for model in estimator.models]
    one_by_one = [parts[i % FOLDS][i] for i in range(60)]
    np.testing.assert_allclose(estimator.estimate(test), np.clip(one_by_one, -1, 1))


def test_the_speedup_on_other_examples_is_that_of_the_development_split():
    """Where the first member's outputs tell nothing, estimates differ by their model alone."""
    rng = np.random.default_rng(0)

    def uninformed(split: str, n: int) -> Predictions:
        logits = rng.normal(size=(n, 2, 2)).astype(np.float32)
        ids = np.array([f"{split}{i}" for i in range(n)])
        return Predictions(logits, np.array(COSTS), ids, rng.integers(2, size=n))

    replicates = [{"dev": uninformed("dev", 300), "test": uninformed("test", 3000)}]
    system = SystemPredictions("t", "s", deferral.EXIT_RULE, "accuracy", 12.0, {"": replicates})
    chosen = ChosenSystem(system, choose(system, [2, 3]))
    table = measure_operating_points(chosen, ["test"], Resampling(0, 100))
    assert table["speedup"].tolist() == pytest.approx([2, 3], rel=0.15)


def test_each_replicate_learns_from_its_own_predictions_and_the_same_from_the_same():
    replicates = [{"dev": predictions(80, COSTS, split="dev", replicate=r)} for r in range(2)]
    system = SystemPredictions("t", "s", deferral.EXIT_RULE, "accuracy", 12.0, {"": replicates})
    for rule, splits in zip(system.rules[""], replicates, strict=True):
        estimate = GainEstimator(splits["dev"]).estimate(splits["dev"])
        assert (rule.signal(splits["dev"])[:, 0] == -estimate).all()


def test_it_defers_what_gains_where_confidence_cannot_tell():
    replicates = [{"dev": specialist(1000, "dev"), "test": specialist(2000, "test")}]
    scores = {}
    for name, rule in (("confidence", CONFIDENCE), ("deferral", deferral.EXIT_RULE)):
        system = SystemPredictions("t", name, rule, "accuracy", 12.0, {"": replicates})
        chosen = ChosenSystem(system, choose(system, [2.5]))
        table = measure_operating_points(chosen, ["dev", "test"], Resampling(0, 100))
        scores[name] = table.set_index("split")["score"]["test"]
        assert table["speedup"][0] == pytest.approx(2.5)
    assert scores["deferral"] > scores["confidence"] + 1


def test_it_defers_where_the_estimated_gain_is_high():
    dev = specialist(500, "dev")
    rule = fit_rule(dev)
    gain = GainEstimator(dev).estimate(dev)
    for threshold in (-0.5, 0.0, 0.1):
        deferred = rule.exit_index(dev, -threshold) == 1
        np.testing.assert_array_equal(deferred, gain >= threshold)
    assert (rule.exit_index(dev, rule.knobs(dev)[0]) == 0).all()
    assert (rule.exit_index(dev, rule.knobs(dev)[-1]) == 1).all()


def test_it_must_be_fitted_and_needs_examples():
    dev = predictions(9, COSTS, split="dev")
    with pytest.raises(ValueError, match="fit the rule"):
        deferral.EXIT_RULE.exit_index(dev, 0)
    with pytest.raises(UserError, match="has 9 examples; give it at least 10"):
        fit_rule(dev)


def test_its_members_are_those_of_a_cascade():
    members = ["a", {"encoder": "b", "layers": 2}]
    assert deferral.candidates({"members": members}, [0.3]) == cascade.candidates(
        {"members": members}, []
    )
