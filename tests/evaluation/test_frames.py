"""The evaluation of a task from files: which predictions, choices and settings each frame has."""

import copy

import numpy as np
import pandas as pd
import pytest

from cascadebert.data.task import Task
from cascadebert.evaluation.frames import evaluate_task
from cascadebert.evaluation.temperature import UNSCALED_ECE
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.method import Run
from tests.experiment.test_experiment import DEFAULT
from tests.synthetic import predictions

SYSTEMS = ["bert-12l", "bert-4l", "deebert", "cascadebert", "cascadebert-without-dar"]


def evaluate(folder, **changed) -> dict[str, pd.DataFrame]:
    """Two replicates of SYSTEMS; the probes of DeeBERT's exits are always right."""
    config = copy.deepcopy(DEFAULT) | {"replicates": 2}
    config["evaluation"] |= {"resamples": 100, "targets": [2, 3.3]} | changed
    experiment = Experiment(config)
    for number, run in enumerate(experiment.runs_of(SYSTEMS)):
        depth = count_layers(run)
        costs = tuple(range(1, 13)) if run.method == "deebert" else (depth,)
        for replicate in range(2):
            for split in ("dev", "test"):
                made = predictions(200, costs, split=split, replicate=10 * number + replicate)
                place = folder / "movies" / run.name / f"seed{replicate}"
                made.save(place / f"{split}.npz")
                if run.method == "deebert":
                    right = np.eye(2, dtype=np.float32)[made.labels][:, None]
                    made.logits[:] = right
                made.save(place / "probes" / f"{split}.npz")
    gold = {s: predictions(200, (1,), split=s).labels for s in ("train", "dev", "test")}
    splits = {split: pd.DataFrame({"label": labels}) for split, labels in gold.items()}
    task = Task("movies", ["negative", "positive"], "accuracy", splits, {})
    times = None
    if config["evaluation"]["cost"] == "seconds":
        times = folder / "times"
        write_times(times / "movies", experiment)
    return evaluate_task(experiment, task, SYSTEMS, 12, folder, times)[1]


def count_layers(run: Run) -> int:
    return run.option("layers", int(run.encoder.split("-")[1]))


def write_times(folder, experiment: Experiment) -> None:
    """A quarter of the texts is short; a layer takes 2 ms for these, 6 for the others."""
    folder.mkdir(parents=True)
    for run in experiment.runs_of(SYSTEMS):
        depth = count_layers(run)
        layers = range(1, 13) if run.method == "deebert" else [depth]
        rows = [
            {"exit": e, "share": share, "milliseconds": each * count}
            for share, each in ((0.25, 2.0), (0.75, 6.0))
            for e, count in enumerate(layers, start=1)
        ]
        pd.DataFrame(rows).to_csv(folder / f"{run.name}.csv", index=False)


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> dict[str, pd.DataFrame]:
    return evaluate(tmp_path_factory.mktemp("predictions"))


def test_exits_stand_beside_the_probes_of_their_own_and_weak_systems_are_marked(frames):
    gaps = frames["probes"]
    of_deebert = gaps["system"] == "deebert"
    assert (gaps["probe"][of_deebert] == 100).all()
    assert (gaps["gap"][~of_deebert] == 0).all()
    exits = frames["exits"].set_index(["system", "exit", "measure"])["score"]
    for row in gaps.itertuples():
        assert row.accuracy == pytest.approx(exits[row.system, row.exit, "accuracy"])
    points = frames["operating_points"]
    assert set(points["system"][points["undertrained"]]) == {"deebert"}


def test_every_system_of_the_experiment_has_its_row_and_its_comparison(frames):
    points, differences = frames["operating_points"], frames["differences"]
    assert set(points["system"]) == set(DEFAULT["systems"])
    assert set(points["system"][points["note"] != "not run"]) == set(SYSTEMS)
    at = points.set_index(["system", "target_speedup"])["score"]
    found = differences.set_index(["against", "target_speedup"])["difference"]
    # The full model's only speed-up is 1; that of 4 layers is within the tolerance of 3.3.
    assert sorted(found.index) == [
        ("bert-12l", 2.0),
        ("bert-12l", 3.3),
        ("bert-4l", 3.3),
        ("cascadebert-without-dar", 2.0),
        ("cascadebert-without-dar", 3.3),
        ("deebert", 2.0),
        ("deebert", 3.3),
    ]
    for against, target in found.index:
        theirs = at[against, 1 if against == "bert-12l" else target]
        assert found[against, target] == pytest.approx(at["cascadebert", target] - theirs)
    assert set(frames["exit_differences"]["against"]) == {"cascadebert-without-dar"}


def test_scaled_systems_have_the_ece_of_the_unscaled_beside_their_own(frames, tmp_path):
    scaled = evaluate(tmp_path, temperature=True)
    candidates = [set(of["operating_points"]["candidate"]) for of in (frames, scaled)]
    assert candidates[0] == candidates[1]  # else another margin was chosen
    for name, column in (("exits", "score"), ("exit_differences", "difference")):
        keys = ["system", "exit"]
        ece = frames[name][frames[name]["measure"] == "ece"].set_index(keys)[column]
        found = scaled[name].set_index(["measure", *keys])[column]
        pd.testing.assert_series_equal(found[UNSCALED_ECE], ece)
        assert not np.allclose(found["ece"], ece)


def test_measured_times_are_costs_and_milliseconds(tmp_path):
    measured = evaluate(tmp_path, cost="seconds", tolerance=0.05)
    points = measured["operating_points"].dropna(subset="score")
    full = 12 * (0.25 * 2 + 0.75 * 6)
    assert points["milliseconds"].tolist() == pytest.approx(
        (full / points["speedup"]).tolist(), rel=0.02
    )
    of_full = points[points["system"] == "bert-12l"]
    assert of_full["milliseconds"].tolist() == pytest.approx([full])
    # 3x is further from 3.3x than this tolerance.
    assert set(points["system"]) == set(SYSTEMS) - {"bert-4l"}
