"""Promised and realised loss; tests/deployment/test_thresholds.py tests the promise itself."""

import numpy as np
import pytest

from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.promises import MAX_LOSSES, certify_threshold, measure_promises
from cascadebert.reporting.promise_table import NONE_KEEPS_IT, table_promises
from cascadebert.systems.exits import CONFIDENCES, ENTROPY
from tests.synthetic import predictions


def build(rule, costs=(2.0, 14.0), examples=1500) -> ChosenSystem:
    candidates = {
        "": [
            {
                "dev": predictions(examples, costs, split="dev", replicate=r),
                "test": predictions(examples // 2, costs, replicate=r),
            }
            for r in range(3)
        ]
    }
    system = SystemPredictions("movies", "cascade", rule, "accuracy", 12, candidates)
    return ChosenSystem(system, choose(system, [2.0]))


def test_realised_loss_is_counted_text_by_text():
    chosen = build(CONFIDENCES)
    table = measure_promises(chosen, ["test"], Resampling(0, 200))
    assert table["promised"].tolist() == [100 * most for most in MAX_LOSSES]
    assert table["threshold"].is_monotonic_decreasing
    assert table["speedup"].is_monotonic_increasing
    for row, most in zip(table.itertuples(), MAX_LOSSES, strict=True):
        losses, costs, thresholds = [], [], []
        for splits in chosen.system.candidates[""]:
            threshold = certify_threshold(splits["dev"], most, 0.1)
            thresholds.append(threshold)
            test = splits["test"]
            rows = zip(test.confidence, test.predicted, test.labels, strict=True)
            of_seed = []
            for confidence, predicted, label in rows:
                early = confidence[0] > threshold
                answer = predicted[0] if early else predicted[1]
                losses.append(int(predicted[1] == label) - int(answer == label))
                of_seed.append(2 if early else 14)
            costs.append(12 / np.mean(of_seed))
        assert row.loss == pytest.approx(100 * np.mean(losses))
        assert row.speedup == pytest.approx(np.mean(costs))
        assert row.threshold == pytest.approx(np.mean(thresholds))
        assert row.certified == sum(threshold < 1 for threshold in thresholds)
        assert (row.n, row.n_dev, row.replicates) == (750, 1500, 3)
        assert row.loss == pytest.approx(row.full_score - row.score)
        assert row.low <= row.loss <= row.high
    assert table["certified"].iloc[-1] > 0  # the test is of early exits


def test_too_few_texts_promise_nothing_and_the_table_says_so():
    table = measure_promises(build(CONFIDENCES, examples=60), ["test"], Resampling(0, 100))
    assert table["threshold"].tolist() == [1.0] * 3
    assert table["loss"].tolist() == [0.0] * 3
    assert table["speedup"].tolist() == pytest.approx([12 / 14] * 3)
    _, display = table_promises(table, {"cascade": "Cascade"})
    assert [row[2].text for row in display.rows] == [NONE_KEEPS_IT] * 3


def test_a_promise_is_that_of_a_cascade():
    assert measure_promises(build(ENTROPY), ["test"], Resampling(0, 100)).empty
    assert measure_promises(build(CONFIDENCES, (12.0,)), ["test"], Resampling(0, 100)).empty


def test_the_table_shows_promise_threshold_loss_and_speedup():
    promises = measure_promises(build(CONFIDENCES), ["test"], Resampling(0, 100))
    _, display = table_promises(promises, {"cascade": "Cascade"})
    for row, promise in zip(display.rows, promises.itertuples(), strict=True):
        promised, title, threshold, loss, speedup = (cell.text for cell in row)
        assert float(promised) == promise.promised
        assert title == "Cascade"
        assert float(threshold) == pytest.approx(promise.threshold, abs=5e-4)
        assert float(loss.split("\n")[0].replace("−", "-")) == pytest.approx(promise.loss, abs=0.05)
        assert speedup == f"{promise.speedup:.2f}×"
