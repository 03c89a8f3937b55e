"""Made-up but realistic predictions, through the real evaluation: inputs of the reporting rooms."""

from functools import cache

import numpy as np
import pandas as pd

from cascadebert.core.seeds import derive_seed
from cascadebert.data.predictions import Predictions
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.comparison import compare_exits, compare_systems
from cascadebert.evaluation.curve_scores import measure_curves
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.measures import measure_exits
from cascadebert.evaluation.points import measure_operating_points, trace_curve
from tests.synthetic import RULES

TITLES = {
    "bert-12l": "BERT-12L",
    "bert-6l": "BERT-6L",
    "bert-4l": "BERT-4L",
    "bert-3l": "BERT-3L",
    "deebert": "DeeBERT",
    "pabee": "PABEE",
    "cascadebert": "CascadeBERT",
    "cascadebert-without-dar": "CascadeBERT w/o DAR",
}
ABLATIONS = {"cascadebert": "cascadebert-without-dar"}
PAIRS = [("cascadebert", system) for system in TITLES if system != "cascadebert"]
SERIES = ["bert-12l", "bert-6l", "bert-4l", "bert-3l"]
TARGETS = (2.0, 3.0, 4.0)
SKILLS = {  # of each exit: how far the evidence is from zero on average
    "bert-12l": [1.45],
    "bert-6l": [1.15],
    "bert-4l": [1.05],
    "bert-3l": [1.0],
    "deebert": np.linspace(0.3, 1.45, 12),
    "pabee": np.linspace(0.55, 1.4, 12),
    "cascadebert-without-dar": [1.0, 1.45],
    "cascadebert": [1.0, 1.45],
}
COSTS = {"bert-12l": [12], "bert-6l": [6], "bert-4l": [4], "bert-3l": [3]}
COSTS |= dict.fromkeys(("deebert", "pabee"), range(1, 13))
COSTS |= dict.fromkeys(("cascadebert", "cascadebert-without-dar"), (2, 14))
OF_RULE = {"deebert": "entropy", "pabee": "patience"}
OF_RULE |= dict.fromkeys(("cascadebert", "cascadebert-without-dar"), "confidence")


def predictions(
    task: str, system: str, split: str, replicate: int = 0, n: int = 800, labels: int = 2
) -> Predictions:
    """Exits that share an example's difficulty and much of their noise; DAR sharpens the first."""
    of_examples = np.random.default_rng(derive_seed(0, task, split))
    gold = of_examples.integers(labels, size=n)
    ease = of_examples.gamma(2.0, 0.6, size=n)
    shared = of_examples.normal(size=n)
    rng = np.random.default_rng(derive_seed(0, task, system.split("-w")[0], split, replicate))
    skills = np.asarray(SKILLS[system])
    noise = 0.8 * shared[:, None] + 0.6 * rng.normal(size=(n, len(skills)))
    evidence = skills * ease[:, None] + noise
    scale = np.full(len(skills), 2.6)
    if system == "cascadebert":
        evidence[:, 0] += 0.25 * (ease - ease.mean()) * (evidence[:, 0] > 0)
        scale[0] = 1.7
    logits = np.zeros((n, len(skills), labels), dtype=np.float32)
    logits[np.arange(n)[:, None], np.arange(len(skills)), gold[:, None]] = scale * evidence
    ids = np.array([f"{split}-{i}" for i in range(n)])
    return Predictions(logits, np.array(COSTS[system], float), ids, gold)


def frames(tasks: tuple[str, ...] = ("movies",), split: str = "test") -> dict[str, pd.DataFrame]:
    """The evaluation's frames as the workflow makes them, by name."""
    parts = [_frames_of(task, split) for task in tasks]
    return {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}


@cache
def _frames_of(task: str, split: str) -> dict[str, pd.DataFrame]:
    resampling = Resampling(1, 100)
    systems = {system: _system(task, system) for system in TITLES}
    measures = {"points": measure_operating_points, "curves": trace_curve, "exits": measure_exits}
    found = {
        name: pd.concat(
            [measure(system, [split], resampling) for system in systems.values()],
            ignore_index=True,
        )
        for name, measure in measures.items()
    }
    found["points"]["majority"] = 51.25
    exits = found["exits"].drop_duplicates(["task", "system", "split", "exit"])
    found["probes"] = exits[["task", "system", "split", "exit"]].assign(undertrained=False)
    found["curve_scores"] = measure_curves(systems, SERIES, [split], resampling)
    found["differences"] = compare_systems(
        systems, found["points"], PAIRS, [split], resampling, full="bert-12l"
    )
    found["exit_differences"] = compare_exits(systems, ABLATIONS, [split], resampling)
    return found


def _system(task: str, name: str) -> ChosenSystem:
    margins = ("0.3", "0.5") if name == "cascadebert" else ("",)
    replicates = [
        {split: predictions(task, name, split, replicate) for split in ("dev", "test")}
        for replicate in range(3)
    ]
    rule = RULES[OF_RULE.get(name, "last")]
    candidates = dict.fromkeys(margins, replicates)
    system = SystemPredictions(task, name, rule, "accuracy", 12.0, candidates)
    return ChosenSystem(system, choose(system, TARGETS))


def task_description(name: str = "movies", metric: str = "accuracy") -> dict:
    """As task.json has it."""
    splits = {"train": 7000, "dev": 800, "test": 800}
    return {
        "name": name,
        "labels": ["negative", "positive"],
        "metric": metric,
        "splits": {
            split: {
                "rows": rows,
                "labelled": True,
                "source": "sentences of film reviews",
                "classes": {"negative": rows // 2, "positive": rows - rows // 2},
                "shared": {},
                "contradictory": 0,
            }
            for split, rows in splits.items()
        },
    }
