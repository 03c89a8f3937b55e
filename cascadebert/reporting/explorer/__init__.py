"""One page on which a reader explores an experiment: curves, thresholds, exits and examples.

The page is one file that loads nothing: data, chart and the library that draws the chart are in it,
compressed.
page.html is its frame, page.js what moves on it.
"""

import gzip
import json
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import pandas as pd

from cascadebert.data.task import Task
from cascadebert.evaluation.choice import ChosenSystem
from cascadebert.evaluation.disagreement import count_right, find_disagreements
from cascadebert.reporting.explorer.chart import bundle_library, draw_chart
from cascadebert.reporting.grid import (
    METRICS,
    Place,
    list_columns,
    list_undertrained,
    select_place,
)
from cascadebert.reporting.wording import format_interval

EXAMPLES = 500  # of a place, if the page has room for them
LONGEST = 400  # characters of a text
# Snakemake's report holds the page as a data URL, in base64. Chromium opens none above 2 MiB.
LARGEST = 1_500_000  # bytes of the page
BEYOND = 1.5  # the slider ends at this multiple of the largest target


@dataclass(frozen=True)
class Scene:
    """What all places of the page share.

    titles:    system -> its name, in the order of the rows
    knobs:     system -> the name of its knob, "" for none
    targets:   speed-ups at which systems are compared
    tolerance: relative distance beyond which a point is shown as far from the chosen speed-up
    cost:      what a speed-up counts, "layers" or "seconds"
    proposed:  the system whose smallest model tells easy from difficult examples
    """

    experiment: str
    titles: Mapping[str, str]
    knobs: Mapping[str, str]
    targets: Sequence[float]
    tolerance: float
    cost: str
    proposed: str


def write_explorer(
    scene: Scene,
    curves: pd.DataFrame,
    points: pd.DataFrame,
    exits: pd.DataFrame,
    probes: pd.DataFrame,
    examples: Mapping[Place, Mapping[str, Any]],
) -> str:
    """The page as HTML. It leaves out examples, of all places alike, until it has at most LARGEST.

    curves, points: `points.trace_curve` and `points.measure_operating_points` of all tasks
    exits, probes:  `measures.measure_exits` and `measures.compare_with_probes` of all tasks
    examples:       place -> `collect_examples`
    """
    weak = list_undertrained(probes)
    places: list[dict[str, Any]] = [
        {
            "task": task,
            "split": split,
            **_describe_place(points, (task, split)),
            "costs": _list_costs(exits, (task, split)),
            "points": _list_points(scene, curves, points, weak, (task, split)),
            **examples[task, split],
        }
        for task, split in list_columns(curves)
    ]
    fastest = BEYOND * max(scene.targets)
    reached = [point["speedup"] for place in places for point in place["points"]]
    data = {
        "experiment": scene.experiment,
        "systems": [
            {"key": key, "title": title, "knob": scene.knobs[key]}
            for key, title in scene.titles.items()
        ],
        "targets": sorted(scene.targets),
        "tolerance": scene.tolerance,
        "cost": scene.cost,
        "range": [min(1.0, *reached), fastest],
        "places": places,
    }
    sizes = curves.groupby(["system", "task", "split"]).size().groupby("system").max()
    shown = sorted(scene.titles, key=lambda system: system != scene.proposed)
    movable = [scene.titles[system] for system in shown if sizes.get(system, 0) > 1]
    single = [scene.titles[system] for system in shown if sizes.get(system, 0) == 1]
    chart = draw_chart(movable, single, data["range"])
    folder = files(__name__)
    frame = Template((folder / "page.html").read_text(encoding="utf-8"))
    script = (folder / "page.js").read_text(encoding="utf-8")
    library, name = _pack(bundle_library()), escape(scene.experiment)
    while True:
        packed = _pack(json.dumps({"data": data, "chart": chart}, allow_nan=False))
        page = frame.substitute(experiment=name, packed=packed, library=library, script=script)
        if len(page.encode()) <= LARGEST or not any(place["examples"] for place in places):
            return page
        for place in places:
            place["examples"] = place["examples"][: len(place["examples"]) // 2]


def collect_examples(
    scene: Scene, task: Task, chosen: Mapping[str, ChosenSystem], split: str
) -> dict[str, Any]:
    """The examples of a split on which systems disagree most, and the names of the labels."""
    found = find_disagreements(chosen, split, EXAMPLES)
    table = task.splits[split].iloc[found.rows]
    right = seeds = None
    if scene.proposed in chosen:
        right = count_right(chosen[scene.proposed], split, found.rows)
        seeds = len(chosen[scene.proposed].predictions(split))
    examples = []
    for place, row in enumerate(table.itertuples()):
        outputs = {}
        for key, of in found.outputs.items():
            # A system of one speed-up has it at every target.
            last = of.answers.shape[1] - 1
            taken = [int(of.taken[t][place]) if t in of.taken else last for t in scene.targets]
            percent = (100 * of.confidence[place]).round().astype(int)
            outputs[key] = [of.answers[place].tolist(), percent.tolist(), taken]
        example = {
            "id": row.id,
            "text": shorten(row.text),
            "gold": task.labels[row.label],
            "outputs": outputs,
        }
        if pd.notna(row.text_pair):
            example["pair"] = shorten(row.text_pair)
        if right is not None:
            example["right"] = [int(right[place]), seeds]
        examples.append(example)
    return {"labels": task.labels, "examples": examples}


def shorten(text: str) -> str:
    """A text of at most LONGEST characters, which ends in … if it was cut."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _describe_place(points: pd.DataFrame, place: Place) -> dict[str, Any]:
    row = select_place(points, place).iloc[0]
    majority = f"{row['majority']:.1f}"  # as tables print it, see `_list_points`
    return {"metric": METRICS[row["metric"]], "n": int(row["n"]), "majority": majority}


def _list_costs(exits: pd.DataFrame, place: Place) -> dict[str, list[float]]:
    """System -> the costs of its exits."""
    rows = select_place(exits, place).drop_duplicates(["system", "exit"])
    costs = rows.groupby("system", sort=False)["cost"]
    return {system: [round(cost, 2) for cost in of] for system, of in costs}


def _list_points(
    scene: Scene,
    curves: pd.DataFrame,
    points: pd.DataFrame,
    weak: Collection[tuple[str, str, str]],
    place: Place,
) -> list[dict[str, Any]]:
    """All points of a place: those of the curves, and those at the targets, which mix two knobs.

    weak: `grid.list_undertrained`
    """
    curve, here = select_place(curves, place), select_place(points, place)
    at_targets = here[here["score"].notna()]
    movable = curve["system"].value_counts()
    # A system of one speed-up is on its curve already.
    at_targets = at_targets[at_targets["system"].map(movable).gt(1)]
    found = []
    for frame, mixed in ((curve, False), (at_targets, True)):
        for row in frame.sort_values("target_speedup", kind="stable").itertuples():
            if row.system not in scene.titles:
                continue
            point = {
                "system": row.system,
                "title": scene.titles[row.system],
                "target": row.target_speedup,
                "speedup": row.speedup,
                "score": row.score,
                "low": row.low,
                "high": row.high,
                # As tables print them; JavaScript would round halves the other way.
                "shown": {
                    "speedup": f"{row.speedup:.2f}×",
                    "score": f"{row.score:.1f}",
                    "interval": format_interval(row.low, row.high),
                },
                "knob": _format_knob(row.knob),
                "leaving": [float(share) for share in row.leaving.split()],
                "mixed": mixed,
                "undertrained": (row.system, *place) in weak,
            }
            if pd.notna(row.milliseconds):
                point["milliseconds"] = row.milliseconds
            found.append({name: _round(value) for name, value in point.items()})
    return found


def _format_knob(knob: object) -> str:
    """One threshold, or several joined by commas; empty for a system without a knob."""
    numbers = [] if pd.isna(knob) else str(knob).split()
    return ", ".join(f"{float(number):.4g}" for number in numbers)


def _round(value: Any) -> Any:
    """JSON has no NaN; null stands for it."""
    if not isinstance(value, float):
        return value
    return None if pd.isna(value) else round(value, 4)


def _pack(text: str) -> str:
    """Compressed, in base64; `unpack` of page.js reads it."""
    return b64encode(gzip.compress(text.encode(), mtime=0)).decode()
