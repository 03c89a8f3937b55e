from collections import Counter

import numpy as np
import pytest

from cascadebert.data.predictions import Predictions
from cascadebert.evaluation.choice import SystemPredictions, choose
from cascadebert.systems.agreement import EXIT_RULE, candidates, vote
from cascadebert.systems.method import Run

FULL = 12.0


def made(votes, large, labels=3) -> Predictions:
    """votes: the labels that each member gives, `[examples, members]`; large: `[examples]`"""
    predicted = np.column_stack([votes, large])
    logits = np.eye(labels, dtype=np.float32)[predicted] * 3
    members = predicted.shape[1] - 1
    costs = np.array([*np.arange(1, members + 1) * 2.0, members * 2.0 + 12])
    ids = np.arange(len(predicted)).astype(str)
    return Predictions(logits, costs, ids, np.zeros(len(predicted), int))


@pytest.mark.parametrize("members", [2, 3, 5])
@pytest.mark.parametrize("labels", [2, 3])
def test_it_answers_by_majority_where_enough_agree(members, labels):
    rng = np.random.default_rng(members)
    votes, large = rng.integers(labels, size=(200, members)), rng.integers(labels, size=200)
    p = made(votes, large, labels)
    for threshold in EXIT_RULE.knobs(p):
        taken = EXIT_RULE.exit_index(p, threshold)
        emitted = EXIT_RULE.answers(p)[np.arange(200), taken]
        for i in range(200):
            # The authors' rule: the most common answer, if its share is large enough.
            answer, count = Counter(votes[i].tolist()).most_common(1)[0]
            agreed = count / members > threshold
            assert emitted[i] == (answer if agreed else large[i])
            assert p.costs[taken[i]] == (2 * members if agreed else 2 * members + 12)


def test_its_knobs_are_any_most_and_all():
    p = made(np.zeros((1, 3), int), [0])
    assert EXIT_RULE.knobs(p).tolist() == pytest.approx([0, 0.5, 2.5 / 3, 1])
    split = made([[0, 1, 2], [0, 1, 1], [1, 1, 1]], [2, 2, 2])
    leaving = [(EXIT_RULE.exit_index(split, knob) == 2).tolist() for knob in EXIT_RULE.knobs(split)]
    assert leaving == [
        [True, True, True],
        [False, True, True],
        [False, False, True],
        [False, False, False],
    ]
    answers, shares = vote(split)
    assert answers.tolist() == [0, 1, 1]
    assert shares.tolist() == pytest.approx([1 / 3, 2 / 3, 1])


def test_its_cost_counts_every_member():
    rng = np.random.default_rng(0)
    p = made(rng.integers(2, size=(100, 3)), rng.integers(2, size=100), labels=2)
    system = SystemPredictions("t", "s", EXIT_RULE, "accuracy", FULL, {"": [{"dev": p, "test": p}]})
    choice = choose(system, [1.5, 2, 4])
    # All leave after three models of two layers: twice as fast as the full model, and no faster.
    assert [choice.mixtures[t][0].speedup for t in (1.5, 2.0, 4.0)] == pytest.approx([1.5, 2, 2])


def test_its_members_differ_by_their_seeds():
    [candidate] = candidates({"members": ["a", "b"], "seeds": 3}, [])
    assert candidate.runs == (
        Run("finetune", "a"),
        Run("finetune", "a", (("seed", 2),)),
        Run("finetune", "a", (("seed", 3),)),
        Run("finetune", "b"),
    )
    assert len({run.name for run in candidate.runs}) == 4
