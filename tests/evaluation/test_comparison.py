import numpy as np
import pandas as pd
import pytest

from cascadebert.evaluation.choice import SystemPredictions, choose
from cascadebert.evaluation.comparison import differences, exit_differences
from cascadebert.evaluation.exits import CONFIDENCE, LAST
from cascadebert.evaluation.points import exit_measures, operating_points
from tests.synthetic import predictions

COMMON = {"seed": 0, "resamples": 300}


def system(key, rule, costs, examples=400):
    replicates = [
        {split: predictions(examples, costs, split=split, replicate=r) for split in ("dev", "test")}
        for r in range(2)
    ]
    return SystemPredictions("words", key, rule, "accuracy", 12.0, {"": replicates})


@pytest.fixture(scope="module")
def compared():
    systems = {
        "full": system("full", LAST, (12.0,)),
        "half": system("half", LAST, (6.0,)),
        "cascade": system("cascade", CONFIDENCE, (2.0, 14.0)),
    }
    choices = {key: choose(one, [2, 3, 9]) for key, one in systems.items()}
    points = pd.concat(
        operating_points(systems[k], choices[k], ["test"], **COMMON) for k in systems
    )
    return systems, choices, points


def test_differences_are_those_of_the_operating_points(compared):
    systems, choices, points = compared
    pairs = [("cascade", "full"), ("cascade", "half"), ("half", "full"), ("full", "half")]
    table = differences(systems, choices, points, pairs, ["test"], **COMMON)
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


def test_only_what_stands_at_speed_one_alone_is_compared_at_every_target(compared):
    systems, _, _ = compared
    cascade = systems["cascade"]
    choice = choose(cascade, [1, 2, 3])
    stands = [("a", 2.0), ("a", 3.0), ("b", 1.0), ("b", 3.0)]
    points = pd.DataFrame(stands, columns=["system", "target_speedup"]).assign(
        split="test", score=1
    )
    table = differences(
        *(dict.fromkeys(("a", "b"), same) for same in (cascade, choice)),
        *(points, [("a", "b")], ["test"]),
        **COMMON,
    )
    assert list(table["target_speedup"]) == [3.0]


def test_exit_differences_are_those_of_the_exits(compared):
    systems, choices, _ = compared
    other = SystemPredictions(
        "words",
        "other",
        CONFIDENCE,
        "accuracy",
        12.0,
        {"": [{s: predictions(400, (2.0, 14.0), split=s, replicate=7) for s in ("dev", "test")}]},
    )
    systems = {**systems, "other": other}
    choices = {**choices, "other": choose(other, [2])}
    table = exit_differences(systems, choices, {"cascade": "other"}, ["test"], **COMMON)
    ours, theirs = (
        exit_measures(systems[k], choices[k], ["test"], **COMMON).set_index(["exit", "measure"])[
            "score"
        ]
        for k in ("cascade", "other")
    )
    got = table.set_index(["exit", "measure"])["difference"]
    pd.testing.assert_series_equal(got, (ours - theirs).reindex(got.index), check_names=False)
    # paired over examples: narrower than if the two had been resampled apart
    accuracy = table[(table["measure"] == "accuracy") & (table["exit"] == 2)].iloc[0]
    apart = exit_measures(systems["cascade"], choices["cascade"], ["test"], **COMMON)
    apart = apart[(apart["measure"] == "accuracy") & (apart["exit"] == 2)].iloc[0]
    assert accuracy["high"] - accuracy["low"] < np.sqrt(2) * (apart["high"] - apart["low"])
