import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.classes import CLASSES, measure_classes
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.points import measure_operating_points
from cascadebert.reporting.class_table import table_classes
from cascadebert.systems.exits import CONFIDENCES, LAST
from tests import simulation

LABELS = ["bad", "NA", "2"]


def measured(name: str, rule, targets=(2, 40)) -> tuple[ChosenSystem, pd.DataFrame]:
    replicates = [
        {split: simulation.predictions("t", name, split, r, labels=3) for split in ("dev", "test")}
        for r in range(2)
    ]
    system = SystemPredictions("t", name, rule, "accuracy", 12.0, {"": replicates})
    chosen = ChosenSystem(system, choose(system, targets))
    points = measure_operating_points(chosen, ["test"], Resampling(1, 100))
    return chosen, measure_classes(chosen, points, LABELS)


def test_scores_of_classes_are_scikit_learns():
    chosen, found = measured("cascadebert", CONFIDENCES)
    assert list(found.columns) == CLASSES.split()
    assert list(found["target_speedup"].unique()) == [2]  # 40x is out of reach
    assert list(found["label"]) == LABELS
    gold = chosen.system.labels("test")
    emission = chosen.emit("test", 2)
    measures = {"f1": f1_score, "recall": recall_score, "precision": precision_score}
    for name, measure in measures.items():
        # Each example is answered by either knob, with its chance.
        of_replicates = [
            measure(
                np.tile(gold, 2),
                emission.answers[:, r].ravel(),
                sample_weight=np.repeat(emission.chances[:, r], len(gold)),
                average=None,
            )
            for r in range(2)
        ]
        expected = np.mean(of_replicates, axis=0)
        assert found[name].to_numpy() == pytest.approx(100 * expected)
    assert found["n"].sum() == len(gold)


def test_the_table_has_the_full_model_beside_the_proposed_system():
    frames = [measured(*of)[1] for of in (("bert-12l", LAST), ("cascadebert", CONFIDENCES))]
    classes = pd.concat(frames)
    table, display = table_classes(classes, simulation.TITLES, "cascadebert", "bert-12l")
    assert [cell.text for cell in display.header[3:]] == ["BERT-12L\n1×", "CascadeBERT\n2×"]
    assert [row[1].text for row in display.rows] == LABELS
    shown = [[float(cell.text) for cell in row[3:]] for row in display.rows]
    expected = classes.pivot(index="label", columns="system", values="f1").loc[LABELS]
    assert np.array(shown) == pytest.approx(expected.to_numpy(), abs=0.05)
    assert len(table) == len(classes)
