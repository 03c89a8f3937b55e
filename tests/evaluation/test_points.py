from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from cascadebert.data.scores import score
from cascadebert.data.task import Task
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.measures import EXIT_MEASURES, LEFT_WRONG, measure_exits
from cascadebert.evaluation.metrics import (
    area_under_risk_coverage,
    expected_calibration_error,
)
from cascadebert.evaluation.points import (
    CURVE_POINTS,
    add_majority,
    describe_not_run,
    measure_operating_points,
    trace_curve,
)
from cascadebert.systems.exits import CONFIDENCE, ENTROPY, LAST, PATIENCE
from tests.synthetic import RULES, predictions

LAYERS = tuple(range(1, 13))
SPLITS = ("dev", "test")


def system(rule, costs, *, labels=("",), replicates=3, metric="accuracy", examples=250):
    candidates = {
        label: [
            {s: predictions(examples, costs, split=s, replicate=10 * k + r) for s in SPLITS}
            for r in range(replicates)
        ]
        for k, label in enumerate(labels)
    }
    return SystemPredictions("movies", rule.name, rule, metric, 12, candidates)


def chosen(one, targets=(2,)) -> ChosenSystem:
    return ChosenSystem(one, choose(one, targets))


def points(one, targets=(2, 3, 4), splits=("test",), resamples=1000, **options):
    return measure_operating_points(
        chosen(one, targets), splits, Resampling(5, resamples), **options
    )


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_scores_are_means_over_replicates_with_their_own_knobs(metric):
    one = system(CONFIDENCE, (2, 14), labels=("0.1", "0.3"), metric=metric)
    choice = choose(one, [2, 3, 4])
    table = measure_operating_points(ChosenSystem(one, choice), ["test"], Resampling(0))
    assert table["target_speedup"].tolist() == [2, 3, 4]
    for row in table.itertuples():
        scores, speedups, knobs = [], [], []
        mixtures = choice.mixtures[row.target_speedup]
        for splits, mixture in zip(one.candidates[choice.candidate], mixtures, strict=True):
            test = splits["test"]
            expected = np.zeros(2)  # cost and knob
            all_emitted, weights = [], []
            for knob, chance in zip(mixture.knobs, mixture.chances, strict=True):
                emitted, costs = [], []
                for confidence, predicted in zip(test.confidence, test.predicted, strict=True):
                    small_is_enough = confidence[0] > knob
                    emitted.append(predicted[0] if small_is_enough else predicted[1])
                    costs.append(2 if small_is_enough else 14)
                expected += chance * np.array([np.mean(costs), knob])
                all_emitted += emitted
                weights += [chance] * len(emitted)
            # Each example is answered by either knob, with its chance.
            judge = f1_score if metric == "f1" else accuracy_score
            scores.append(100 * judge([*test.labels] * 2, all_emitted, sample_weight=weights))
            speedups.append(12 / expected[0])
            knobs.append(expected[1])
        assert row.score == pytest.approx(np.mean(scores))
        assert row.speedup == pytest.approx(np.mean(speedups))
        assert row.knob == pytest.approx(np.mean(knobs))
        assert row.low < row.score < row.high
        assert (row.task, row.system, row.split) == ("movies", "confidence", "test")
        assert (row.metric, row.candidate, row.n, row.replicates, row.note) == (
            metric, choice.candidate, 250, 3, "",
        )  # fmt: skip


def test_columns_are_the_contract():
    names = (
        "task system split target_speedup speedup metric score low high n replicates candidate "
        "knob note undertrained majority leaving milliseconds"
    )
    for one in (system(CONFIDENCE, (2, 14)), system(LAST, (8,)), system(PATIENCE, LAYERS)):
        assert list(points(one)) == names.split()


def test_the_shares_that_leave_are_those_of_the_speedup():
    one = system(CONFIDENCE, (2, 8, 14))
    one = replace(one, full_milliseconds=6.0)
    curve = trace_curve(chosen(one), ["test"], Resampling(0, 100))
    for row in curve.itertuples():
        shares = [float(share) for share in row.leaving.split()]
        assert sum(shares) == pytest.approx(1, abs=2e-4)
        assert row.milliseconds == pytest.approx(np.dot(shares, (2, 8, 14)) / 12 * 6.0, abs=1e-3)
    assert curve["leaving"].nunique() > 10
    assert points(system(LAST, (6,)))["milliseconds"].isna().all()


def test_interval_of_f1_is_that_of_resampling_by_hand():
    one = system(LAST, (6,), metric="f1", replicates=1)
    (row,) = points(one, resamples=4000).itertuples()
    test = one.candidates[""][0]["test"]
    rng = np.random.default_rng(0)
    draws = rng.integers(250, size=(1500, 250))
    scores = [score("f1", test.predicted[d, 0], test.labels[d]) for d in draws]
    assert [row.low, row.high] == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.7)


def test_unreachable_targets_are_said_to_be():
    table = points(system(CONFIDENCE, (2, 14)), targets=(2, 8)).set_index("target_speedup")
    assert table.loc[8, ["score", "speedup", "low", "high", "knob"]].isna().all()
    assert table.loc[8, "note"] == "not reachable: nearest speed-up on dev is 6.00x"
    assert table.loc[2, "score"] > 0
    assert table.loc[2, "note"] == ""


def test_tolerance_is_for_systems_of_one_speedup():
    one = system(LAST, (2,))
    assert points(one, targets=(7,))["target_speedup"].tolist() == [7]  # 6x is within 20% of it
    assert points(one, targets=(7,), tolerance=0.1)["score"].isna().all()
    assert points(one, targets=(7.6,))["score"].isna().all()
    # A coin makes every other system exactly as fast as the target, or it does not stand there.
    many = system(CONFIDENCE, (2, 14))
    assert points(many, targets=(6,))["score"].notna().all()
    assert points(many, targets=(6.1,), tolerance=0.2)["score"].isna().all()
    assert points(many, targets=(0.85,), tolerance=0.2)["score"].isna().all()


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.knob], ids=lambda r: r.name)
def test_every_system_has_exactly_the_target_cost_where_knobs_are_chosen(rule):
    table = points(system(rule, LAYERS[:4]), targets=(3.1, 4.7, 11.3), splits=["dev"])
    assert table["speedup"].tolist() == pytest.approx([3.1, 4.7, 11.3], rel=1e-9)


@pytest.mark.parametrize(
    ("cost", "targets"),
    [(12, [1]), (6, [2]), (4, [3]), (3, [4]), (5, [2]), (8, []), (24, [])],
)
def test_single_exits_stand_at_their_own_speedup_only(cost, targets):
    table = points(system(LAST, (cost,)))
    assert table["target_speedup"].tolist() == targets
    assert table["speedup"].tolist() == [12 / cost] * len(targets)
    assert (table["knob"] == "").all()


def test_scoring_the_split_that_chose_is_said():
    table = points(system(CONFIDENCE, (2, 14)), splits=["dev", "test"], targets=(2,))
    notes = table.set_index("split")["note"]
    assert notes.to_dict() == {"dev": "thresholds chosen on this split", "test": ""}
    assert table["target_speedup"].tolist() == [2, 2]
    assert points(system(LAST, (6,)), splits=["dev"])["note"].tolist() == [""]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_same_input_same_tables(rule):
    one, again = (system(rule, LAYERS[:5]) for _ in range(2))
    choice = choose(one, [2, 3])
    for measure in (measure_operating_points, trace_curve, measure_exits):
        pd.testing.assert_frame_equal(
            *(measure(ChosenSystem(s, choice), SPLITS, Resampling(3, 100)) for s in (one, again))
        )


@pytest.mark.parametrize(
    ("rule", "costs", "span"), [(CONFIDENCE, (2, 14), (12 / 14, 6)), (ENTROPY, LAYERS, (1, 12))]
)
def test_curve_spans_all_speedups(rule, costs, span):
    one = system(rule, costs)
    table = trace_curve(chosen(one), SPLITS, Resampling(0))
    names = "task system split target_speedup speedup score low high knob leaving milliseconds"
    assert list(table) == names.split()
    assert table["split"].tolist() == [s for s in SPLITS for _ in range(len(table) // 2)]
    for split, rows in table.groupby("split"):
        assert len(rows) == CURVE_POINTS
        assert rows["speedup"].is_monotonic_increasing
        assert (rows["speedup"].iloc[0], rows["speedup"].iloc[-1]) == pytest.approx(span)
        if split == "dev":
            np.testing.assert_allclose(rows["speedup"], rows["target_speedup"], rtol=0.1)


def test_curve_passes_through_the_operating_points():
    one = system(CONFIDENCE, (2, 14))
    one = chosen(one, [6])
    point = measure_operating_points(one, ["test"], Resampling(0)).iloc[0]
    last = trace_curve(one, ["test"], Resampling(0)).iloc[-1]
    for name in ("score", "speedup", "low", "high", "knob"):
        assert last[name] == pytest.approx(point[name])


def test_curve_has_a_point_for_each_patience_and_one_for_a_single_exit():
    one = system(PATIENCE, LAYERS)
    table = trace_curve(chosen(one), ["test"], Resampling(0))
    assert table["knob"].tolist() == list(range(12))
    one = system(LAST, (6,))
    assert trace_curve(chosen(one), ["test"], Resampling(0))["speedup"].tolist() == [2]


def test_curve_of_a_tiny_split_gives_each_replicate_its_own_knobs():
    one = system(CONFIDENCE, (2, 14), examples=6)
    assert len(one.sweeps[""][0].knobs) < CURVE_POINTS
    table = trace_curve(chosen(one), ["dev"], Resampling(0))
    # Replicates have sorted their 6 examples differently, but all can send k of them on.
    assert set(table["speedup"].round(6)) == {round(12 / (2 + 2 * k), 6) for k in range(7)}


def test_exit_measures_are_the_measures():
    one = system(CONFIDENCE, (2, 8, 20), labels=("0.1", "0.3"))
    choice = choose(one, [2])
    table = measure_exits(ChosenSystem(one, choice), SPLITS, Resampling(0, 300))
    assert len(table) == 2 * (3 * len(EXIT_MEASURES) + 1)
    found = table.set_index(["split", "exit", "measure"])
    expected = {name: [] for name in EXIT_MEASURES}
    for splits in one.candidates[choice.candidate]:
        test = splits["test"]
        confidence, right = test.confidence[:, 1], test.predicted[:, 1] == test.labels
        expected["accuracy"].append(right.mean())
        expected["dis"].append(roc_auc_score(right, confidence))
        expected["ece"].append(expected_calibration_error(confidence, right))
        expected["aurc"].append(area_under_risk_coverage(confidence, right))
        expected["confidence_correct"].append(confidence[right].mean())
        expected["confidence_wrong"].append(confidence[~right].mean())
    for name, values in expected.items():
        row = found.loc[("test", 2, name)]
        assert row["score"] == pytest.approx(100 * np.mean(values))
        if name != "ece":
            assert row["low"] < row["score"] < row["high"]
        assert (row["cost"], row["n"], row["replicates"]) == (8, 250, 3)


def test_the_share_of_mistakes_is_of_what_leaves_at_the_first_exit():
    one = system(CONFIDENCE, (2, 14), replicates=2)
    choice = choose(one, [2, 3, 9])
    table = measure_exits(ChosenSystem(one, choice), ["test"], Resampling(0, 200))
    found = table[table["measure"].str.startswith("wrong")].set_index("measure")
    assert list(found.index) == [LEFT_WRONG.format(2), LEFT_WRONG.format(3)]  # 9x is not reached
    assert set(found["exit"]) == {1}
    for target in (2.0, 3.0):
        shares = []
        for splits, mixture in zip(one.candidates[""], choice.mixtures[target], strict=True):
            test, left, wrong = splits["test"], 0, 0
            for knob, chance in zip(mixture.knobs, mixture.chances, strict=True):
                for i in range(250):
                    if test.confidence[i, 0] > knob:
                        left += chance
                        wrong += chance * (test.predicted[i, 0] != test.labels[i])
            shares.append(100 * wrong / left)
        row = found.loc[LEFT_WRONG.format(target)]
        assert row["score"] == pytest.approx(np.mean(shares))
        assert row["low"] < row["score"] < row["high"]


def test_measures_that_need_mistakes_are_empty_without_any():
    one = system(LAST, (6,), replicates=2)
    for splits in one.candidates[""]:
        test = splits["test"]
        splits["test"] = replace(test, labels=test.predicted[:, 0])
    table = measure_exits(chosen(one), ["test"], Resampling(0, 50))
    found = table.set_index("measure")
    assert found.loc["accuracy", ["score", "low", "high"]].tolist() == [100, 100, 100]
    assert found.loc[["dis", "confidence_wrong"], ["score", "low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(("metric", "expected"), [("accuracy", [25, 50]), ("f1", [40, 200 / 3])])
def test_the_majority_class_is_that_of_train(metric, expected):
    labels = {"train": [1, 1, 0], "dev": [0, 0, 1, 0], "test": [0, 1]}
    splits = {split: pd.DataFrame({"label": of}) for split, of in labels.items()}
    points = pd.DataFrame({"split": ["dev", "test"]})
    found = add_majority(points, Task("t", ["no", "yes"], metric, splits, {}))
    assert found["majority"].tolist() == pytest.approx(expected)


def test_what_was_not_run_has_rows_without_a_score(task):
    task = replace(task, splits={**task.splits, "test_mismatched": task.splits["dev"]})
    common = {"targets": [3, 2], "replicates": 4}
    frame = describe_not_run(task, system="pabee", rule=PATIENCE, **common)
    assert list(frame.columns) == list(points(system(PATIENCE, LAYERS)).columns)
    assert list(frame["target_speedup"]) == [2, 3, 2, 3]
    assert list(frame["n"]) == [120, 120, 80, 80]
    assert set(frame["replicates"]) == {4}
    assert set(frame["note"]) == {"not run"}
    assert frame[["score", "speedup", "low", "high"]].isna().all(axis=None)
    one = describe_not_run(task, system="bert-4l", rule=LAST, **common)
    assert len(one) == 2
    assert one["target_speedup"].isna().all()
