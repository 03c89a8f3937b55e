from collections import Counter

import numpy as np
import pytest

from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.disagreement import count_right, find_disagreements
from cascadebert.systems.exits import CONFIDENCES, LAST, PATIENCE
from tests.synthetic import predictions

TARGETS = (2.0, 3.0)


def build(rule, costs, replicates=3) -> ChosenSystem:
    candidates = {
        "": [
            {s: predictions(200, costs, labels=3, split=s, replicate=r) for s in ("dev", "test")}
            for r in range(replicates)
        ]
    }
    system = SystemPredictions("movies", rule.name, rule, "accuracy", 12, candidates)
    return ChosenSystem(system, choose(system, TARGETS))


@pytest.fixture(scope="module")
def chosen():
    systems = [(CONFIDENCES, (2, 14)), (LAST, (6,)), (PATIENCE, tuple(range(1, 13)))]
    return {rule.name: build(rule, costs) for rule, costs in systems}


def test_examples_with_most_different_answers_come_first(chosen):
    """Against counting the answers of the first seed, system by system and target by target."""
    found = find_disagreements(chosen, "test", most=60)
    every = find_disagreements(chosen, "test", most=200)
    answers = [[] for _ in range(200)]
    for each in chosen.values():
        of = each.predictions("test")[0]
        for knobs in each.choice.knobs.values():
            for row, exit in enumerate(each.system.rule.exit_index(of, knobs[0])):
                answers[row].append(of.predicted[row, exit])
    share = [1 - Counter(of).most_common(1)[0][1] / len(of) for of in answers]
    disagreed = [row for row in range(200) if len(set(answers[row])) > 1]
    expected = sorted(disagreed, key=lambda row: (-share[row], row))
    assert every.rows.tolist() == expected
    expected = expected[:60]
    assert found.rows.tolist() == expected
    assert found.disagreement.tolist() == pytest.approx([share[row] for row in expected])


def test_examples_without_disagreement_are_left_out(chosen):
    alone = {"last": chosen["last"]}
    found = find_disagreements(alone, "test", most=60)
    assert len(found.rows) == 0
    assert found.outputs["last"].confidence.shape == (0, 1)


def test_outputs_are_those_of_the_rows(chosen):
    found = find_disagreements(chosen, "test", most=10)
    of = chosen["confidences"].predictions("test")[0]
    shown = found.outputs["confidences"]
    assert np.array_equal(shown.confidence, of.confidence[found.rows])
    assert np.array_equal(shown.answers, of.predicted[found.rows])
    for target in TARGETS:
        threshold = np.ravel(chosen["confidences"].choice.knobs[target][0])[0]
        taken = np.where(of.confidence[found.rows, 0] > threshold, 0, 1)
        assert np.array_equal(shown.taken[target], taken)


def test_right_answers_of_the_small_models_are_counted(chosen):
    rows = np.array([3, 1, 4])
    counted = count_right(chosen["confidences"], "test", rows)
    for row, count in zip(rows, counted, strict=True):
        of_row = [
            each.predicted[row, 0] == each.labels[row]
            for each in chosen["confidences"].predictions("test")
        ]
        assert count == sum(of_row)
