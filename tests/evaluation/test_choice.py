import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from cascadebert.core.errors import UserError
from cascadebert.data.scores import score
from cascadebert.evaluation.choice import (
    NEAR,
    Choice,
    Sweep,
    SystemPredictions,
    choose,
    choose_knob,
    sweep,
)
from cascadebert.evaluation.mixing import hold
from cascadebert.systems.exits import (
    CONFIDENCE,
    CONFIDENCES,
    ENTROPY,
    LAST,
    NORMALISED_ENTROPY,
    PATIENCE,
    speedup,
)
from tests.synthetic import predictions

LAYERS = tuple(range(1, 13))


def system(rule, costs, labels=("",), replicates=2, metric="accuracy"):
    def splits(number):
        return {
            split: predictions(200, costs, split=split, replicate=number)
            for split in ("dev", "test")
        }

    candidates = {
        label: [splits(10 * k + r) for r in range(replicates)] for k, label in enumerate(labels)
    }
    return SystemPredictions("movies", "some", rule, metric, 12, candidates)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
@pytest.mark.parametrize(
    ("rule", "costs"),
    [
        (CONFIDENCE, (2, 14)),
        (CONFIDENCES, (2, 14)),
        (ENTROPY, LAYERS),
        (NORMALISED_ENTROPY, LAYERS),
        (PATIENCE, LAYERS),
    ],
)
def test_knob_is_the_nearest_to_the_target_and_then_the_best(rule, costs, metric):
    dev = predictions(60, costs, split="dev")
    for target in (1, 2, 3, 4, 50):

        def rank(knob, target=target):
            taken = rule.exit_index(dev, knob)
            emitted = [dev.predicted[i, k] for i, k in enumerate(taken)]
            distance = abs(np.log(speedup(taken, dev.costs, 12) / target))
            return round(distance, 9), -score(metric, emitted, dev.labels)

        best = min(map(rank, rule.knobs(dev)))
        assert rank(choose_knob(dev, rule, metric, target, 12)) == pytest.approx(best)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_the_whole_grid_is_searched_for_the_best_thresholds_near_the_target(metric):
    dev = predictions(40, (2, 8, 20), split="dev")

    def reached(thresholds):
        taken = []
        for confidence in dev.confidence:
            emitting = [k for k in (0, 1) if confidence[k] > thresholds[k]]
            taken.append(emitting[0] if emitting else 2)
        emitted = [dev.predicted[i, k] for i, k in enumerate(taken)]
        return 12 / np.mean(dev.costs[taken]), score(metric, emitted, dev.labels)

    grid = [reached(thresholds) for thresholds in CONFIDENCES.knobs(dev)]
    assert len(grid) > 1000
    for target in (1, 2, 3, 4, 50):
        distances = [abs(np.log(speed / target)) for speed, _ in grid]
        near = [i for i, d in enumerate(distances) if d <= min(distances) + NEAR]
        best = max(grid[i][1] for i in near)
        chosen = choose_knob(dev, CONFIDENCES, metric, target, 12)
        speed, value = reached(chosen)
        assert abs(np.log(speed / target)) <= min(distances) + NEAR
        assert value == pytest.approx(best)


def test_a_threshold_for_each_exit_is_as_good_as_a_shared_one_and_sometimes_better():
    gains = []
    for replicate in range(5):
        dev = predictions(60, (2, 8, 20), split="dev", replicate=replicate)
        shared, several = (sweep(dev, rule, "accuracy", 12) for rule in (CONFIDENCE, CONFIDENCES))
        for target in np.arange(0.8, 5, 0.4):
            of_shared = shared.nearest(target)
            nearest = np.abs(np.log(several.speedups / target)).min()
            distance = abs(np.log(of_shared.speedup / target))
            assert nearest <= distance + 1e-12
            if distance <= nearest + NEAR:  # else only several thresholds come near
                gains.append(several.nearest(target).score - of_shared.score)
    assert len(gains) > 20
    assert min(gains) >= 0
    assert max(gains) > 1


def test_distance_to_the_target_is_a_ratio_and_ties_go_to_the_better_score():
    def build(speedups, scores):
        return Sweep(np.array([1.0, 2, 3]), np.array(speedups), np.array([scores, [100.0] * 3]))

    swept = build([1.2, 2.9, 4.0], [90.0, 80, 70])
    assert swept.nearest(2) == hold(2, 2.9, 80)  # by difference it would be 1.2
    swept = build([1.5, 6, 1.5], [70.0, 80, 80])
    assert swept.nearest(3) == hold(2, 6, 80)
    assert swept.nearest(1.4) == hold(3, 1.5, 80)


def test_sweep_scores_every_knob():
    dev = predictions(100, (2, 14), split="dev")
    swept = sweep(dev, CONFIDENCE, "f1", 12)
    assert swept.knobs.shape == swept.speedups.shape == swept.scores.shape
    assert swept.scores[0] == pytest.approx(score("f1", dev.predicted[:, 0], dev.labels))
    assert swept.scores[-1] == pytest.approx(score("f1", dev.predicted[:, 1], dev.labels))
    assert (swept.speedups[0], swept.speedups[-1]) == (6, pytest.approx(12 / 14))


def test_candidate_with_the_best_mean_score_is_chosen():
    several = system(CONFIDENCE, (2, 14), labels=("0.1", "0.3", "0.5"), replicates=3)
    choice = choose(several, [2, 4])
    for label, replicates in several.candidates.items():
        scores = []
        for splits in replicates:
            for target in (2, 4):
                dev = splits["dev"]
                mixture = sweep(dev, CONFIDENCE, "accuracy", 12).mix(target)
                emitted = [
                    dev.predicted[np.arange(200), CONFIDENCE.exit_index(dev, knob)]
                    for knob in mixture.knobs
                ]
                parts = [score("accuracy", answers, dev.labels) for answers in emitted]
                scores.append(np.dot(mixture.chances, parts))
                if label == choice.candidate:
                    number = replicates.index(splits)
                    knob = choose_knob(dev, CONFIDENCE, "accuracy", target, 12)
                    assert choice.knobs[target][number] == knob
                    assert choice.mixtures[target][number] == mixture
        assert choice.candidate_scores[label] == pytest.approx(np.mean(scores))
    assert choice.candidate == max(choice.candidate_scores, key=choice.candidate_scores.get)
    assert len(set(choice.candidate_scores.values())) > 1


def test_of_equal_candidates_the_first_is_chosen():
    one = system(CONFIDENCE, (2, 14))
    twice = replace(one, candidates={"0.7": one.candidates[""], "0.1": one.candidates[""]})
    assert choose(twice, [2, 3]).candidate == "0.7"


def test_the_choice_never_sees_the_test_split():
    one = system(CONFIDENCE, (2, 14), labels=("0.1", "0.3"))
    blind = replace(
        one,
        candidates={
            label: [{"dev": splits["dev"]} for splits in replicates]
            for label, replicates in one.candidates.items()
        },
    )
    assert choose(one, [2, 3, 4]) == choose(blind, [2, 3, 4])


def test_without_a_knob_the_full_model_has_a_target_too():
    assert list(choose(system(LAST, (12,)), [2, 3]).knobs) == [1, 2, 3]
    assert list(choose(system(CONFIDENCE, (2, 14)), [3, 2]).knobs) == [2, 3]


@pytest.mark.parametrize(
    ("rule", "costs"), [(PATIENCE, LAYERS), (LAST, (6,)), (CONFIDENCES, (2, 8, 20))]
)
def test_choices_are_stored_as_strict_json(rule, costs, tmp_path):
    choice = choose(system(rule, costs), [2, 2.5])
    choice.save(tmp_path / "choice.json")
    text = (tmp_path / "choice.json").read_text()
    json.loads(text, parse_constant=pytest.fail)
    loaded = Choice.load(tmp_path / "choice.json")
    np.testing.assert_equal(asdict(loaded), asdict(choice))


def test_a_damaged_choice_is_named(tmp_path):
    (tmp_path / "choice.json").write_text('{"candidate": ')
    with pytest.raises(UserError, match=r"choice\.json"):
        Choice.load(tmp_path / "choice.json")


def test_unlabelled_splits_may_be_there_but_not_scored():
    one = system(CONFIDENCE, (2, 14), replicates=1)
    (splits,) = one.candidates[""]
    splits["test"] = replace(splits["test"], labels=np.full(200, -1))
    choose(one, [2])
    with pytest.raises(UserError, match="split test"):
        one.labels("test")


def test_replicates_of_other_examples_are_refused():
    one = system(CONFIDENCE, (2, 14))
    splits = one.candidates[""][1]
    splits["dev"] = replace(splits["dev"], ids=splits["dev"].ids[::-1])
    with pytest.raises(ValueError, match="split dev"):
        replace(one)
