from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.evaluation.appendix_c import (
    COLUMNS,
    NONE_REACH,
    TOO_FEW,
    Around,
    Extension,
    equal_counts,
    expected_gain,
    find_added_model,
    largest_gain,
    measure_gains,
)
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.points import measure_operating_points
from cascadebert.reporting.appendix_c import table_appendix_c
from tests.synthetic import RULES, predictions

TARGETS = (2.0, 3.0)
TITLES = {"old": "2-12", "new": "2-6-12", "four": "4L", "twelve": "12L"}


@st.composite
def cascades(draw):
    """Layers of M_i, M* and M_(i+1), how many leave each of the new cascade, and accuracies."""
    layers = sorted(draw(st.sets(st.integers(1, 24), min_size=3, max_size=3)))
    counts = draw(st.tuples(*[st.integers(0, 500)] * 3).filter(any))
    accuracies = sorted(draw(st.tuples(*[st.floats(0, 100)] * 3)))
    earlier = draw(st.integers(0, 24))  # layers of all models before M_i
    return Around(*layers), Around(*counts), Around(*accuracies), earlier


@given(cascades())
def test_eq_12_keeps_examples_and_cost(cascade):
    """Against the definition: every example pays for all models up to the one that it leaves."""
    layers, counts, _, earlier = cascade
    first, size, last = layers
    before, after = equal_counts(counts, layers)
    assert before + after == pytest.approx(sum(counts))
    cost_of_new = 0
    for models, leaving in zip(([first], [first, size], [first, size, last]), counts, strict=True):
        for _ in range(leaving):
            cost_of_new += earlier + sum(models)
    cost_of_old = before * (earlier + first) + after * (earlier + first + last)
    assert cost_of_old == pytest.approx(cost_of_new)


@given(cascades())
def test_eq_13_is_the_difference_of_right_answers(cascade):
    layers, counts, accuracies, _ = cascade
    before, after = equal_counts(counts, layers)
    low, _, high = accuracies
    right_of_new = sum(count * share for count, share in zip(counts, accuracies, strict=True))
    right_of_old = before * low + after * high
    gain = expected_gain(counts, sum(counts), layers, accuracies)
    assert gain == pytest.approx((right_of_new - right_of_old) / sum(counts), abs=1e-9)


@given(cascades())
def test_no_gain_exceeds_the_bound(cascade):
    layers, counts, accuracies, _ = cascade
    leaving = sum(equal_counts(counts, layers))
    total = sum(counts)
    gain = expected_gain(counts, total, layers, accuracies)
    assert gain <= largest_gain(leaving, total, layers, accuracies) + 1e-9
    # It is reached where M* is as small as M_i, as good as M_(i+1), and answers all.
    best = (
        layers._replace(added=layers.before),
        accuracies._replace(added=accuracies.after),
    )
    gain = expected_gain(Around(0, total, 0), total, *best)
    assert gain == pytest.approx(largest_gain(total, total, *best), abs=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ([2, 14], [2, 8, 20], 1),
        ([2, 8, 20], [2, 8, 16, 28], 2),
        ([2, 14], [1, 3, 15], None),  # smaller than all
        ([2, 14], [2, 14, 38], None),  # larger than all
        ([2, 14], [2, 4, 16], None),  # no larger than M_i
        ([2, 14], [2, 14, 26], None),  # no smaller than M_(i+1)
        ([2, 14], [2, 14], None),
        ([2, 14], [3, 9, 21], None),  # another first model
    ],
)
def test_which_model_was_added(old, new, place):
    assert find_added_model(old, new) == place


def system(name: str, costs, rule: str, examples: int = 300) -> SystemPredictions:
    replicates = [
        {split: predictions(examples, costs, split=split, replicate=r) for split in ("dev", "test")}
        for r in range(2)
    ]
    return SystemPredictions("t", name, RULES[rule], "accuracy", 12.0, {"": replicates})


@pytest.fixture(scope="module")
def made() -> dict[str, SystemPredictions]:
    return {
        "old": system("old", (2.0, 14.0), "confidences"),
        "new": system("new", (2.0, 8.0, 20.0), "confidences"),
        "two": system("two", (2.0,), "last"),
        "four": system("four", (4.0,), "last"),
        "twelve": system("twelve", (12.0,), "last"),
    }


def table_of(systems: dict, targets=TARGETS, tolerance: float = 0.5) -> pd.DataFrame:
    chosen = {key: ChosenSystem(each, choose(each, targets)) for key, each in systems.items()}
    resampling = Resampling(0, 100)
    points = pd.concat(
        measure_operating_points(each, ["test"], resampling, tolerance) for each in chosen.values()
    )
    others = [chosen[key] for key in chosen if key not in ("old", "new")]
    extension = Extension(new=chosen["new"], old=chosen["old"], others=others)
    return measure_gains(extension, points, ["test"], resampling)


def test_counts_accuracies_and_gains_are_those_of_a_run_example_by_example(made):
    table = table_of(made)
    assert list(table) == COLUMNS.split()
    # Models of 2 and of 12 layers are not between the two.
    assert list(table["added"]) == ["new", "four"] * len(TARGETS)
    choices = {key: choose(made[key], TARGETS) for key in ("old", "new")}
    for target in TARGETS:
        row = table[(table["target_speedup"] == target) & (table["added"] == "new")].iloc[0]
        left = {"old": np.zeros(2), "new": np.zeros(3)}
        right = {"old": 0, "new": 0}
        alone = np.zeros(3)
        paid = {"old": [0, 0], "new": [0, 0]}
        for r in range(2):
            of = {key: made[key].candidates[""][r]["test"] for key in ("old", "new")}
            for key, p in of.items():
                mixture = choices[key].mixtures[target][r]
                for thresholds, chance in zip(mixture.knobs, mixture.chances, strict=True):
                    for i in range(300):
                        e = 0
                        while e < len(thresholds) and p.confidence[i, e] <= thresholds[e]:
                            e += 1
                        left[key][e] += chance
                        right[key] += chance * (p.predicted[i, e] == p.labels[i])
                        paid[key][r] += chance * p.costs[e]
            for k, (key, e) in enumerate((("old", 0), ("new", 1), ("old", 1))):
                alone[k] += (of[key].predicted[:, e] == of[key].labels).sum()
        names = ["old_before", "old_after", "new_before", "new_added", "new_after"]
        expected = np.concatenate([left["old"], left["new"]]) / 2
        assert row[names].tolist() == pytest.approx(expected)
        names = ["accuracy_before", "accuracy_added", "accuracy_after"]
        assert row[names].tolist() == pytest.approx(alone / 6)
        assert row["measured"] == pytest.approx((right["new"] - right["old"]) / 6)
        for key in ("old", "new"):
            speedups = [12 * 300 / cost for cost in paid[key]]
            assert row[f"{key}_speedup"] == pytest.approx(np.mean(speedups))
        assert row["measured_low"] <= row["measured"] <= row["measured_high"]
        assert row["expected_low"] <= row["expected"] <= row["expected_high"]


def test_the_measured_gain_is_one_of_accuracy_where_the_metric_is_f1(made):
    systems = {key: replace(each, metric="f1") for key, each in made.items()}
    table = table_of(systems)
    for target in TARGETS:
        right = {}
        for key in ("old", "new"):
            chosen = ChosenSystem(systems[key], choose(systems[key], TARGETS))
            emission = chosen.emit("test", target)
            is_right = emission.answers == systems[key].labels("test")
            right[key] = 100 * np.einsum("kr,krn->rn", emission.chances, is_right).mean()
        row = table[(table["target_speedup"] == target) & (table["added"] == "new")].iloc[0]
        assert row["measured"] == pytest.approx(right["new"] - right["old"])
        assert row["measured_low"] <= row["measured"] <= row["measured_high"]


def test_of_one_replicate_the_expectation_is_eq_13_of_the_row():
    systems = {
        "old": system("old", (2.0, 14.0), "confidences"),
        "new": system("new", (2.0, 8.0, 20.0), "confidences"),
        "four": system("four", (4.0,), "last"),
    }
    for each in systems.values():
        each.candidates[""] = each.candidates[""][:1]
    table = table_of(systems)
    for _, row in table.iterrows():
        accuracies = Around(*row[["accuracy_before", "accuracy_added", "accuracy_after"]])
        counts = Around(*row[["new_before", "new_added", "new_after"]])
        layers = Around(2, row["layers"], 12)
        assert row["expected"] == pytest.approx(expected_gain(counts, 300, layers, accuracies))
        leaving = row["old_before"] + row["old_after"]
        assert row["largest"] == pytest.approx(largest_gain(leaving, 300, layers, accuracies))
        assert row["new_before"] + row["new_added"] + row["new_after"] == pytest.approx(300)
    assumed = table[table["assumed"]]
    measured = table[~table["assumed"]]
    # The same speed as the old cascade, and the same share of what reaches M*.
    np.testing.assert_allclose(assumed["equal_before"], assumed["old_before"])
    np.testing.assert_allclose(assumed["equal_after"], assumed["old_after"])
    share = [t["new_added"] / (t["new_added"] + t["new_after"]) for t in (assumed, measured)]
    np.testing.assert_allclose(*share)
    assert assumed["measured"].isna().all()


def test_rows_without_a_gain_say_why(made):
    unreached = table_of(made, targets=(2.0, 50.0), tolerance=0.2)
    note = unreached.loc[unreached["target_speedup"] == 50, "note"]
    assert list(note) == ["old and new cannot reach this speed-up"]
    other = table_of(made | {"new": system("new", (1.0, 7.0, 19.0), "confidences")})
    assert (other["note"].str.startswith("not the other cascade with one model more")).all()
    none = table_of(made, targets=(6.0,))  # all leave at the first model
    larger = system("new", (2.0, 7.0, 19.0), "confidences")
    few = table_of(made | {"new": larger, "four": system("four", (2.5,), "last")}, targets=(2.0,))
    for found, note in ((none, NONE_REACH), (few, TOO_FEW)):
        assert list(found["note"].fillna("")) == ["", note]
        assert list(found["expected"].isna()) == [False, True]
    table, display = table_appendix_c(pd.concat([unreached, other]), TITLES)
    assert len(table) == len(unreached) + len(other)
    assert any("2-6-12 against 2-12: old and new cannot reach" in note for note in display.notes)
    for row in display.rows:
        assert all(cell.text and (cell.text != "—" or cell.mark) for cell in row[1:])
