import numpy as np
import pandas as pd
import pytest

from cascadebert.data.predictions import Predictions
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.comparison import compare_exits, compare_systems, estimate_difference
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.measures import EXIT_MEASURES, measure_exits
from cascadebert.evaluation.points import measure_operating_points
from cascadebert.systems.exits import CONFIDENCE, LAST
from tests.synthetic import predictions

RESAMPLING = Resampling(0, 300)


def system(key, rule, costs, examples=400, targets=(2, 3, 9)) -> ChosenSystem:
    replicates = [
        {split: predictions(examples, costs, split=split, replicate=r) for split in ("dev", "test")}
        for r in range(2)
    ]
    made = SystemPredictions("words", key, rule, "accuracy", 12.0, {"": replicates})
    return ChosenSystem(made, choose(made, targets))


@pytest.fixture(scope="module")
def compared():
    systems = {
        "full": system("full", LAST, (12.0,)),
        "half": system("half", LAST, (6.0,)),
        "cascade": system("cascade", CONFIDENCE, (2.0, 14.0)),
    }
    points = [measure_operating_points(one, ["test"], RESAMPLING) for one in systems.values()]
    return systems, pd.concat(points)


def test_differences_are_those_of_the_operating_points(compared):
    systems, points = compared
    pairs = [("cascade", "full"), ("cascade", "half"), ("half", "full"), ("full", "half")]
    table = compare_systems(systems, points, pairs, ["test"], RESAMPLING, full="full")
    # 9x is beyond a 2-12 cascade; the half model stands at 2x only, the full one at every target
    assert list(zip(table["target_speedup"], table["system"], table["against"], strict=True)) == [
        (2.0, "cascade", "full"),
        (3.0, "cascade", "full"),
        (2.0, "cascade", "half"),
        (2.0, "half", "full"),
    ]
    score = points.set_index(["system", "target_speedup"])["score"]
    at = {"full": 1.0, "half": 2.0}
    for row in table.itertuples():
        expected = score[row.system, row.target_speedup] - score[row.against, at[row.against]]
        assert row.difference == pytest.approx(expected)
        assert row.low <= row.difference <= row.high


def test_only_the_full_model_is_compared_at_every_target(compared):
    """Another system may be nearest to 1x, such as one of 10 layers."""
    cascade = compared[0]["cascade"].system
    cascade = ChosenSystem(cascade, choose(cascade, [1, 2, 3]))
    stands = [("a", 2.0), ("a", 3.0), ("b", 1.0), ("b", 3.0), ("c", 1.0)]
    points = pd.DataFrame(stands, columns=["system", "target_speedup"]).assign(
        split="test", score=1
    )
    systems = dict.fromkeys(("a", "b", "c"), cascade)
    for other, full, expected in (("b", None, [3.0]), ("c", None, []), ("c", "c", [2.0, 3.0])):
        table = compare_systems(systems, points, [("a", other)], ["test"], RESAMPLING, full)
        assert list(table["target_speedup"]) == expected


def test_exit_differences_are_those_of_the_exits(compared):
    systems, _ = compared
    other = SystemPredictions(
        "words",
        "other",
        CONFIDENCE,
        "accuracy",
        12.0,
        {"": [{s: predictions(400, (5.0, 17.0), split=s, replicate=7) for s in ("dev", "test")}]},
    )
    systems = {**systems, "other": ChosenSystem(other, choose(other, [2, 3]))}
    table = compare_exits(systems, {"cascade": "other"}, ["test"], RESAMPLING)
    ours, theirs = (
        measure_exits(systems[k], ["test"], RESAMPLING).set_index(["exit", "measure"])["score"]
        for k in ("cascade", "other")
    )
    left = {"wrong of those that left at 2x"}  # 3x is beyond the other
    assert left | set(EXIT_MEASURES) == set(table["measure"])
    got = table.set_index(["exit", "measure"])["difference"]
    pd.testing.assert_series_equal(got, (ours - theirs).reindex(got.index), check_names=False)
    # paired over examples: narrower than if the two had been resampled apart
    accuracy = table[(table["measure"] == "accuracy") & (table["exit"] == 2)].iloc[0]
    apart = measure_exits(systems["cascade"], ["test"], RESAMPLING)
    apart = apart[(apart["measure"] == "accuracy") & (apart["exit"] == 2)].iloc[0]
    assert accuracy["high"] - accuracy["low"] < np.sqrt(2) * (apart["high"] - apart["low"])


def answering(answers, labels, metric: str) -> ChosenSystem:
    """A full model with these answers `[replicates, examples]` on test."""

    def split_of(row):
        ids = np.arange(len(labels)).astype(str)
        logits = np.eye(2, dtype=np.float32)[row][:, None]
        return dict.fromkeys(("dev", "test"), Predictions(logits, np.array([12.0]), ids, labels))

    made = SystemPredictions("t", "s", LAST, metric, 12.0, {"": list(map(split_of, answers))})
    return ChosenSystem(made, choose(made, []))


def test_a_paired_difference_is_narrower_than_two_intervals():
    labels = predictions(400, (2,)).labels
    rng = np.random.default_rng(0)
    # Two systems that err on the same examples, except that b errs on some more.
    hard = rng.random(400) < 0.3
    slips = rng.random((2, 400)) < 0.05
    a = np.where(hard, 1 - labels, labels)[None]
    b = np.where(hard | slips, 1 - labels, labels)

    def compare(first, second, metric="accuracy"):
        sides = [(answering(answers, labels, metric), 1.0) for answers in (first, second)]
        return estimate_difference(*sides, "test", Resampling(0))

    difference, low, high = compare(a, b)
    expected = 100 * ((a == labels).mean() - (b == labels).mean())
    assert difference == pytest.approx(expected)
    assert 0 < low < difference < high < low + 5
    assert compare(b, a)[0] == -difference
    assert compare(a, a, "f1") == (0, 0, 0)
