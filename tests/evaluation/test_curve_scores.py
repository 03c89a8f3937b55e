from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.curve_scores import (
    CURVE_SCORES,
    NO_REFERENCE,
    REFERENCE,
    SHORT_REFERENCE,
    TARGETS,
    TOO_SHORT,
    ReferenceCurve,
    measure_curves,
)
from cascadebert.evaluation.intervals import Resampling
from cascadebert.reporting.curve_table import CURVE, table_curve_scores
from cascadebert.reporting.grid import UNDERTRAINED
from cascadebert.systems.exits import CONFIDENCE, LAST, PATIENCE
from tests.simulation import SERIES, TITLES, frames
from tests.synthetic import predictions

SINGLE = {f"bert-{layers}l": (float(layers),) for layers in (12, 6, 3)}
RESAMPLING = Resampling(0, 200)


def made(key, rule, costs, replicates=2, metric="accuracy") -> ChosenSystem:
    found = [
        {split: predictions(300, costs, split=split, replicate=r) for split in ("dev", "test")}
        for r in range(replicates)
    ]
    for splits in found if len(costs) == 1 else []:  # the more layers, the more often right
        for split, of in splits.items():
            right = np.eye(2, dtype=np.float32)[of.labels][:, None]
            splits[split] = replace(of, logits=of.logits + costs[0] / 8 * right)
    system = SystemPredictions("t", key, rule, metric, 12.0, {"": found})
    return ChosenSystem(system, choose(system, [2]))


@pytest.fixture(scope="module")
def systems() -> dict[str, ChosenSystem]:
    return {
        **{key: made(key, LAST, costs) for key, costs in SINGLE.items()},
        "cascade": made("cascade", CONFIDENCE, (2.0, 14.0)),
        "patient": made("patient", PATIENCE, range(1, 13)),
        "slow": made("slow", CONFIDENCE, (6.0, 18.0)),
    }


@pytest.fixture(scope="module")
def table(systems):
    return measure_curves(systems, list(SINGLE), ["test"], RESAMPLING)


def score_mixed(chosen: ChosenSystem, target: float) -> tuple[float, float]:
    """Expected score and cost on test, replicate by replicate, example by example."""
    scores, costs = [], []
    for swept, splits in zip(chosen.system.sweeps[""], chosen.system.candidates[""], strict=True):
        mixture, test = swept.mix(target), splits["test"]
        rows = np.arange(len(test.labels))
        expected = np.zeros(2)
        for knob, chance in zip(mixture.knobs, mixture.chances, strict=True):
            taken = chosen.system.rule.exit_index(test, knob)
            right = test.predicted[rows, taken] == test.labels
            expected += chance * np.array([100 * right.mean(), test.costs[taken].mean()])
        scores.append(expected[0])
        costs.append(expected[1])
    return float(np.mean(scores)), float(np.mean(costs))


def interpolate_reference(systems, cost: float) -> float:
    """By hand, between the two neighbours; the ends go on flat."""
    at = {}
    for key, (layers,) in SINGLE.items():
        of_test = [splits["test"] for splits in systems[key].system.candidates[""]]
        at[layers] = np.mean([100 * (p.predicted[:, 0] == p.labels).mean() for p in of_test])
    for low, high in ((3.0, 6.0), (6.0, 12.0)):
        if low <= cost <= high:
            return at[low] + (cost - low) / (high - low) * (at[high] - at[low])
    return at[3.0] if cost < 3 else at[12.0]


def test_targets_are_the_middles_of_equal_steps_of_the_logarithm():
    assert np.diff(np.log(TARGETS)) == pytest.approx(np.log(4) / 16)
    assert TARGETS[0] * TARGETS[-1] == pytest.approx(4)
    # The mean over them is the mean over the logarithm: of s(x) = x, (4 - 1) / log 4.
    assert TARGETS.mean() == pytest.approx(3 / np.log(4), rel=1e-3)


@pytest.mark.parametrize("key", ["cascade", "patient"])
def test_the_two_numbers_are_those_of_the_definitions(systems, table, key):
    found = [score_mixed(systems[key], target) for target in TARGETS]
    at = table[table["system"] == key].set_index("measure")
    assert at.loc["mean", "score"] == pytest.approx(np.mean([score for score, _ in found]))
    gaps = [score - interpolate_reference(systems, cost) for score, cost in found]
    assert at.loc["elue", "score"] == pytest.approx(np.mean(gaps))
    for measure in ("mean", "elue"):
        row = at.loc[measure]
        assert row["low"] < row["score"] < row["high"]
        assert (row["note"], row["n"], row["replicates"]) == ("", 300, 2)


def test_a_system_that_reaches_a_part_only_has_neither_number(table):
    slow = table[table["system"] == "slow"]  # up to 2x
    assert list(slow["measure"]) == ["mean", "elue"]
    assert set(slow["note"]) == {TOO_SHORT}
    assert slow[["score", "low", "high"]].isna().all(axis=None)


def test_the_reference_has_a_mean_of_its_own(systems, table):
    [row] = table[table["system"] == REFERENCE].itertuples()
    expected = np.mean([interpolate_reference(systems, 12 / target) for target in TARGETS])
    assert (row.measure, row.score) == ("mean", pytest.approx(expected))
    assert list(table) == CURVE_SCORES.split()


def test_the_reference_of_f1_mixes_counts_as_the_coin_does():
    curve = [made(f"{of[-1]}", LAST, of, metric="f1") for of in ((1.0, 3.0), (2.0, 4.0, 6.0))]
    reference = ReferenceCurve(curve, "test")
    cost = 4.5 / 12  # half way from 3 to 6 layers
    found = reference.build_mean(np.array([cost]))(np.ones((1, 300)))[:, 0]
    three, six = (of.predictions("test") for of in reference.systems)
    for r in range(2):
        answers = np.concatenate([of[r].predicted[:, -1] for of in (three, six)])
        assert found[r] == pytest.approx(100 * f1_score(np.tile(three[r].labels, 2), answers))


def test_without_a_reference_there_is_no_elue_score(systems):
    alone = measure_curves(systems, ["bert-12l"], ["test"], RESAMPLING).set_index(
        ["system", "measure"]
    )
    assert alone.loc[("cascade", "elue"), "note"] == NO_REFERENCE
    assert alone.loc[("cascade", "mean"), "score"] > 50
    assert REFERENCE not in alone.index
    # Models of one depth are no curve, nor are those that leave a part of the range out.
    for short in ({"again": systems["bert-12l"]}, {"bert-6l": systems["bert-6l"]}):
        curve = ["bert-12l", *short]
        table = measure_curves({**systems, **short}, curve, ["test"], RESAMPLING)
        table = table.set_index(["system", "measure"])
        assert table.loc[("cascade", "elue"), "note"] == SHORT_REFERENCE
        assert table.loc[[("cascade", "elue"), (REFERENCE, "mean")], "score"].isna().all()
    # Those that were not run are left out of the curve.
    some = {key: each for key, each in systems.items() if key != "bert-6l"}
    table = measure_curves(some, list(SINGLE), ["test"], RESAMPLING)
    assert table.set_index(["system", "measure"]).loc[("cascade", "elue"), "note"] == ""


def test_its_table_says_what_the_numbers_are():
    f = frames(("movies", "rte"))
    probes = f["points"][["system", "task", "split"]].drop_duplicates()
    probes = probes.assign(undertrained=probes["system"] == "pabee")
    frame, display = table_curve_scores(f["curve_scores"], probes, TITLES, SERIES)
    lines = {(block[0][0].text, line[1].text): line for block in display.blocks for line in block}
    names = [line[1].text for line in display.blocks[0]]
    assert names == ["DeeBERT", "PABEE", "CascadeBERT", "CascadeBERT w/o DAR", CURVE]
    at = f["curve_scores"].set_index(["system", "measure", "task"])["score"]
    mean = lines["Mean score, 1× to 4×", "CascadeBERT"]
    assert mean[2].text.split("\n")[0] == f"{at['cascadebert', 'mean', 'movies']:.1f}"
    average = at.sort_index()["cascadebert", "mean"].mean()
    assert mean[4].text == f"{average:.1f}"
    elue = lines["ELUE score", "DeeBERT"]
    assert float(elue[3].text.split("\n")[0].replace("−", "-")) == pytest.approx(
        at["deebert", "elue", "rte"], abs=0.051
    )
    assert UNDERTRAINED in list(display.notes)
    assert lines["Mean score, 1× to 4×", "PABEE"][2].mark
    assert not lines["Mean score, 1× to 4×", CURVE][2].mark
    assert "ours is BERT-12L, BERT-6L, BERT-4L, BERT-3L, interpolated" in display.caption
    assert len(frame) == len(f["curve_scores"])
    for reference in ([], ["bert-12l"]):
        _, display = table_curve_scores(f["curve_scores"], probes, TITLES, reference)
        assert "here there is none, since it takes" in display.caption
        assert "ours is" not in display.caption


def test_the_reference_curve_is_undertrained_where_one_of_its_systems_is():
    f = frames(("movies", "rte"))
    weak = {"system": "bert-6l", "split": "test", "undertrained": True}
    probes = pd.DataFrame([weak | {"task": "rte"}, weak | {"task": "movies", "system": "other"}])
    _, display = table_curve_scores(f["curve_scores"], probes, TITLES, SERIES)
    [of_curve] = [line for line in display.rows if line[1].text == CURVE]
    notes = {mark: note for note, mark in display.notes.items()}
    assert [notes.get(cell.mark) for cell in of_curve[2:4]] == [None, UNDERTRAINED]


def test_the_best_is_bold_whatever_has_no_score():
    f = frames(("movies",))
    scores = f["curve_scores"].copy()
    scores.loc[scores["system"] == "deebert", ["score", "low", "high"]] = np.nan  # the first row
    probes = pd.DataFrame({"system": [], "task": [], "split": [], "undertrained": []}, dtype=bool)
    _, display = table_curve_scores(scores, probes, TITLES, SERIES)
    assert [sum(line[2].bold for line in block) for block in display.blocks] == [1, 1]
