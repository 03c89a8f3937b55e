import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import score
from cascadebert.evaluation.choice import NEAR, SystemPredictions, choose, sweep
from cascadebert.evaluation.intervals import Resampling, estimate
from cascadebert.evaluation.mixing import Emission
from cascadebert.evaluation.points import build_point_statistic
from cascadebert.systems.agreement import EXIT_RULE as AGREEMENT
from cascadebert.systems.exits import CONFIDENCES, speedup
from cascadebert.systems.pcee import EXIT_RULE as PATIENT_CERTAINTY
from tests.synthetic import RULES, predictions

MIXED = [*(rule for rule in RULES.values() if rule.knob), PATIENT_CERTAINTY, AGREEMENT]
SEVERAL = (CONFIDENCES, PATIENT_CERTAINTY)  # knobs of several numbers
FULL = 12.0


def drawn_predictions(data) -> Predictions:
    """Up to 30 examples and 5 exits, with ties and with confident mistakes."""
    examples, exits = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 5))
    elements = st.integers(-3, 3).map(float)
    logits = data.draw(arrays(np.float32, (examples, exits, 2), elements=elements))
    costs = np.cumsum(data.draw(st.lists(st.integers(1, 12), min_size=exits, max_size=exits)))
    labels = data.draw(arrays(np.int64, examples, elements=st.integers(0, 1)))
    return Predictions(logits, costs.astype(float), np.arange(examples).astype(str), labels)


def score_expected(metric, answers, chances, labels) -> float:
    """By the expected counts of a coin that is thrown for each example."""
    right = [np.sum(each == labels) for each in answers]
    if metric == "accuracy":
        return 100 * np.dot(chances, right) / len(labels)
    true = np.dot(chances, [np.sum((each == 1) & (labels == 1)) for each in answers])
    positives = np.dot(chances, [np.sum(each == 1) for each in answers]) + np.sum(labels == 1)
    return 200 * true / positives if positives else 0.0


@pytest.mark.parametrize("rule", MIXED, ids=lambda rule: rule.name)
@pytest.mark.parametrize("metric", ["accuracy", "f1"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_mixture_reaches_every_speedup_and_has_its_expected_answers_score(rule, metric, data):
    dev = drawn_predictions(data)
    swept = sweep(dev, rule, metric, FULL)
    place = data.draw(st.floats(0, 1))
    slowest, fastest = swept.speedups.min(), swept.speedups.max()
    target = slowest * (fastest / slowest) ** place
    mixture = swept.mix(target)

    # Computed from the exits alone.
    costs, answers, rows = [], [], np.arange(len(dev.labels))
    for knob in mixture.knobs:
        taken = rule.exit_index(dev, knob)
        costs.append(dev.costs[taken].mean())
        answers.append(rule.answers(dev)[rows, taken])
    slower, faster = FULL / costs[0], FULL / costs[1]
    assert slower <= target * (1 + 1e-9)
    assert faster >= target * (1 - 1e-9)
    assert 0 <= mixture.share <= 1
    expected_cost = np.dot(mixture.chances, costs)
    assert FULL / expected_cost == pytest.approx(target, rel=1e-9)
    assert mixture.speedup == pytest.approx(target, rel=1e-9)
    assert mixture.score == pytest.approx(
        score_expected(metric, answers, mixture.chances, dev.labels)
    )
    # The two are neighbours: no knob lies between them. Several thresholds choose among near ones.
    room = NEAR if rule in SEVERAL else 1e-9
    below = swept.speedups[swept.speedups <= target]
    above = swept.speedups[swept.speedups >= target]
    if len(below) and len(above):
        assert np.log(below.max() / slower) <= room + 1e-12
        assert np.log(faster / above.min()) <= room + 1e-12


def test_the_f1_of_a_mixture_is_that_of_a_coin_for_each_input():
    """Two models far apart: one finds nothing, the other too much."""
    rng, n = np.random.default_rng(0), 2000
    labels = (rng.random(n) < 0.3).astype(int)
    answers = np.array([labels * (rng.random(n) < 0.1), np.maximum(labels, rng.random(n) < 0.5)])
    logits = np.eye(2, dtype=np.float32)[answers.T] * 2  # [examples, exits, labels]
    dev = Predictions(logits, np.array([2.0, 14.0]), np.arange(n).astype(str), labels)
    rule = RULES["confidence"]
    system = SystemPredictions("t", "s", rule, "f1", FULL, {"": [{"dev": dev, "test": dev}]})
    [mixture] = choose(system, [1.5]).mixtures[1.5]
    emission = system.emit("", "test", [mixture])
    statistic = build_point_statistic([emission], system, "test")
    expected = float(statistic(np.ones((1, n)))[0, 0, 0])
    drawn = [score("f1", emission.draw(seed)[0], labels) for seed in range(300)]
    pure = [score("f1", of_knob[0], labels) for of_knob in emission.answers]
    assert abs(np.dot(mixture.chances, pure) - np.mean(drawn)) > 2  # one coin for the whole split
    assert expected == pytest.approx(np.mean(drawn), abs=0.1)
    assert mixture.score == pytest.approx(expected)


def test_the_expected_score_is_that_of_the_coin_thrown_often():
    replicates = [
        {
            split: predictions(200, (2.0, 14.0), split=split, replicate=r)
            for split in ("dev", "test")
        }
        for r in range(2)
    ]
    patience = RULES["patience"]
    layers = [
        {
            split: predictions(200, range(1, 13), split=split, replicate=r)
            for split in ("dev", "test")
        }
        for r in range(2)
    ]
    for rule, found in ((RULES["confidence"], replicates), (patience, layers)):
        system = SystemPredictions("t", "s", rule, "accuracy", FULL, {"": found})
        mixtures = choose(system, [2.7]).mixtures[2.7]
        assert all(0 < mixture.share < 1 for mixture in mixtures)
        emission = system.emit("", "test", mixtures)
        statistic = build_point_statistic([emission], system, "test")
        [expected], _, _ = estimate([statistic], 200, Resampling(0, 100))
        gold = system.labels("test")
        drawn = [
            np.mean([score("accuracy", answers, gold) for answers in emission.draw(seed)])
            for seed in range(2000)
        ]
        error = np.std(drawn) / np.sqrt(len(drawn))
        assert np.mean(drawn) == pytest.approx(expected, abs=5 * error + 1e-9)
        # Costs too: each example leaves at each exit with the chance that `leaving` says.
        costs = found[0]["test"].costs
        leaving = emission.leaving(len(costs))
        assert leaving.sum(axis=0) == pytest.approx(1)
        mean_cost = np.einsum("ern,e->r", leaving, costs) / 200
        assert FULL / mean_cost == pytest.approx(emission.speedups)
        for r, mixture in enumerate(mixtures):
            exits = [rule.exit_index(found[r]["test"], knob) for knob in mixture.knobs]
            pure = [FULL / speedup(taken, costs, FULL) for taken in exits]
            assert FULL / np.dot(mixture.chances, pure) == pytest.approx(emission.speedups[r])


def test_the_coin_is_the_same_for_the_same_seed_and_another_for_another():
    answers = np.stack([np.zeros((1, 1000), int), np.ones((1, 1000), int)])
    emission = Emission(answers, answers, np.array([[0.7], [0.3]]), np.array([2.0]))
    assert (emission.draw(3) == emission.draw(3)).all()
    assert (emission.draw(3) != emission.draw(4)).any()
    assert emission.draw(3).mean() == pytest.approx(0.3, abs=0.06)
