from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from cascadebert.evaluation.choice import Choice, ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.metrics import difficulty_inversion_score, expected_calibration_error
from cascadebert.evaluation.temperature import (
    compare_calibration,
    fit_temperatures,
    scale_logits,
    scale_system,
)
from cascadebert.reporting.grid import NOTHING, UNDEFINED
from cascadebert.reporting.temperature_table import table_temperature
from cascadebert.systems.exits import CONFIDENCES
from tests.synthetic import predictions


def draw_calibrated(temperature: float, labels=3, examples=20_000):
    """Labels are drawn from the softmax of logits that are then multiplied by a temperature."""
    draw = np.random.default_rng(3)
    logits = draw.normal(0, 2, size=(examples, 1, labels))
    chances = np.exp(log_softmax(logits[:, 0], axis=-1)).cumsum(axis=1)
    gold = (chances < draw.random((examples, 1))).sum(axis=1)
    one = predictions(examples, (2.0,), labels)
    return replace(one, logits=(temperature * logits).astype(np.float32), labels=gold)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_calibrated_logits_is_found(temperature):
    [found] = fit_temperatures(draw_calibrated(temperature))
    assert found == pytest.approx(temperature, rel=0.03)


def test_each_exit_has_the_smallest_loss_of_its_own():
    dev = predictions(400, (2.0, 8.0, 14.0), labels=3, split="dev")

    def measure(values, logits):
        chances = log_softmax(logits / values[0], axis=-1)
        return -chances[np.arange(400), dev.labels].mean()

    for exit, found in enumerate(fit_temperatures(dev)):
        of_exit = dev.logits[:, exit].astype(float)
        other = minimize(measure, [1.0], of_exit, method="Nelder-Mead", options={"xatol": 1e-6})
        assert found == pytest.approx(other.x[0], rel=1e-3)


def test_an_exit_that_gets_all_of_dev_right_is_not_scaled():
    """The smallest temperature would round the confidences to 1, so that nothing can be ranked."""
    dev, test = (predictions(200, (2.0,), split=split) for split in ("dev", "test"))
    right = np.flatnonzero(dev.predicted[:, 0] == dev.labels)
    easy = replace(dev, logits=dev.logits[right], ids=dev.ids[right], labels=dev.labels[right])
    found = fit_temperatures(easy)
    assert found.tolist() == [1.0]
    correct = test.predicted[:, 0] == test.labels
    scores = [
        difficulty_inversion_score(each.confidence[:, 0], correct)
        for each in (test, scale_logits(test, found))
    ]
    assert scores[0] == pytest.approx(scores[1])


def test_scaling_keeps_every_answer():
    dev = predictions(300, (2.0, 14.0), labels=3, split="dev")
    scaled = scale_logits(dev, [0.3, 4.0])
    assert np.array_equal(scaled.predicted, dev.predicted)
    assert (scaled.confidence[:, 0] >= dev.confidence[:, 0]).all()
    assert (scaled.confidence[:, 1] <= dev.confidence[:, 1]).all()


def build(scaled: bool, labels: int) -> ChosenSystem:
    """Of two candidates the second is the better one."""
    replicates = [
        {s: predictions(300, (2.0, 14.0), labels, split=s, replicate=r) for s in ("dev", "test")}
        for r in range(2)
    ]
    worse = [
        {split: replace(each, logits=-each.logits) for split, each in splits.items()}
        for splits in replicates
    ]
    candidates = {"worse": worse, "better": replicates}
    system = SystemPredictions("movies", "cascade", CONFIDENCES, "accuracy", 12, candidates)
    system = scale_system(system) if scaled else system
    return ChosenSystem(system, choose(system, [2.0]))


@pytest.mark.parametrize("labels", [2, 3])
def test_dis_and_ece_stand_beside_the_unscaled_ones(labels):
    scaled, unscaled = build(True, labels), build(False, labels)
    # Each replicate is scaled by what its own development split says.
    fitted = list(map(fit_temperatures, unscaled.predictions("dev")))
    for each, plain, of in zip(
        scaled.predictions("test"), unscaled.predictions("test"), fitted, strict=True
    ):
        np.testing.assert_allclose(each.logits, scale_logits(plain, of).logits)
    table = compare_calibration(scaled, unscaled, ["test"], Resampling(0, 100))
    measures = {"dis": difficulty_inversion_score, "ece": expected_calibration_error}
    at = table.set_index(["exit", "measure"])
    for exit in (0, 1):
        for name, measure in measures.items():
            row = at.loc[exit + 1, name]
            for column, chosen in (("scaled", scaled), ("unscaled", unscaled)):
                values = [
                    100 * measure(of.confidence[:, exit], of.predicted[:, exit] == of.labels)
                    for of in chosen.predictions("test")
                ]
                assert row[column] == pytest.approx(np.mean(values))
            assert row.difference == pytest.approx(row.scaled - row.unscaled)
            assert row.low <= row.high
        assert at.loc[exit + 1, "dis"].temperature == pytest.approx(
            np.mean([of[exit] for of in fitted])
        )
    dis = table[table["measure"] == "dis"]
    assert (dis["difference"].abs() < 1e-9).all() == (labels == 2)
    # What is the same in every replicate has no uncertainty.
    assert np.allclose(dis[["low", "high"]], 0) == (labels == 2)
    _, display = table_temperature(table, {"cascade": "Cascade"})
    assert "Cost: in layers of the reference model." in display.caption
    assert "Cost: measured time" in table_temperature(table, {"cascade": "C"}, "seconds")[1].caption
    first = display.rows[0]
    row = at.loc[1, "ece"]
    assert first[3].text.split("\n")[0] == f"{row.unscaled:.1f} → {row.scaled:.1f}"


def test_a_measure_that_is_undefined_has_a_dash():
    table = compare_calibration(build(True, 2), build(False, 2), ["test"], Resampling(0, 100))
    of_dis = table["measure"] == "dis"
    table.loc[of_dis, ["unscaled", "scaled", "difference", "low", "high"]] = np.nan
    _, display = table_temperature(table, {"cascade": "Cascade"})
    notes = {mark: note for note, mark in display.notes.items()}
    for *_, cell in display.rows:
        assert (cell.text, notes[cell.mark]) == (NOTHING, UNDEFINED)


def test_a_choice_keeps_its_temperatures(tmp_path):
    chosen = build(True, 2)
    chosen.choice.save(tmp_path / "choice.json")
    loaded = Choice.load(tmp_path / "choice.json")
    assert loaded.candidate == "better"
    assert loaded.temperatures == chosen.system.temperatures["better"]
    assert len(loaded.temperatures) == 2
