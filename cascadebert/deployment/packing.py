"""Writes a cascade of a finished experiment as one folder, for every runtime."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cascadebert.core.checksums import hash_file
from cascadebert.core.errors import UserError, explaining_damage
from cascadebert.core.files import File, replacing
from cascadebert.data.load import complete_entry
from cascadebert.data.predictions import Predictions
from cascadebert.data.tables import complete_format
from cascadebert.data.task import DEV, Task
from cascadebert.data.tokens import encode_texts, has_pairs
from cascadebert.deployment.card import write_card
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.export import Batch, export_member
from cascadebert.deployment.finished import AGAIN, FinishedCascade, find_cascade
from cascadebert.deployment.folder import Description, OperatingPoint
from cascadebert.deployment.measuring import load_stored, measure, predict
from cascadebert.deployment.members import FILES, INT8, RUNTIMES, TORCH
from cascadebert.deployment.saving import refuse_other_files, save_tokenizers
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.evaluation.choice import choose_knob
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.promises import DELTA, MAX_LOSSES, certify_threshold, measure_loss
from cascadebert.systems.exits import CONFIDENCES

SAMPLES, BATCH = 256, 32  # texts from which int8 takes its scales

PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "numpy")  # that the card names

# runtime -> split -> predictions
Predicted = dict[str, dict[str, Predictions]]


def export_cascade(
    results: File, system: str, out: File, task: str | None = None, replicate: int = 0
) -> Description:
    """Writes a cascade to a folder from which `Cascade.from_pretrained` loads it.

    results: results/<experiment>
    system:  a cascade of the experiment
    task:    None for the only one of the experiment

    The folder holds cascade.json; README.md, the model card, with a figure; and of every member its
    weights and its ONNX files, in full precision and in int8. Thresholds for int8 are chosen on the
    development split, as those of torch were, but from the confidences of int8.

    Raises UserError if there is no such cascade, if its thresholds were chosen for seconds, or if
    `out` holds something else.
    """
    refuse_other_files(out)
    found = find_cascade(results, task, system, replicate)
    if found.experiment.in_seconds:
        raise UserError(
            f"{found.results} chose its thresholds by seconds, but an exported cascade counts "
            "layers; set evaluation.cost: layers and run the experiment again: nothing is trained "
            "anew"
        )
    data = Task.load(found.results / "data" / found.task)
    stored = {split: load_stored(found, split) for split in (DEV, *data.scored_splits)}
    _refuse_old_thresholds(found, data.metric, stored[DEV])
    with replacing(out) as draft:
        draft.mkdir()
        _write_members(found, data, draft)
        tokenizers = [load_tokenizer(folder) for folder in found.folders]
        described = Description(
            labels=data.labels,
            max_length=found.max_length,
            members=save_tokenizers(tokenizers, found.temperatures, draft),
            points=[],
            about=describe_origin(found, data),
        )
        described.save(draft)
        predicted = {runtime: _predict(data, stored, draft, runtime) for runtime in RUNTIMES}
        config = found.experiment.config
        resampling = Resampling(config["seed"], config["evaluation"]["resamples"])
        points = _choose_points(found, data.metric, predicted, resampling)
        points += _certify_points(found, predicted, resampling)
        described = replace(described, points=points)
        described.save(draft)
        candidates = found.experiment.list_candidates(found.system.key, found.task)
        write_card(
            draft,
            described,
            data,
            predicted,
            full_cost=found.full_cost,
            candidates=len(candidates),
        )
    return described


def _refuse_old_thresholds(found: FinishedCascade, metric: str, dev: Predictions) -> None:
    """Raises UserError if thresholds were not chosen on these predictions.

    So it is after a run that was interrupted: models are those of the new configuration, or some
    are, and thresholds those of the earlier one.
    """
    for target, thresholds in found.thresholds.items():
        knob = choose_knob(dev, CONFIDENCES, metric, target, found.full_cost)
        if np.atleast_1d(knob).tolist() != thresholds:
            raise UserError(
                f"{found.results}: the thresholds were chosen for other models than those that are "
                f"there now: the experiment is not finished. {AGAIN}"
            )


def _write_members(found: FinishedCascade, data: Task, draft: Path) -> None:
    for number, folder in enumerate(found.folders, 1):
        place = draft / f"member-{number}"
        export_member(folder, draw_samples(folder, data, found.max_length), place)
        for path in place.iterdir():
            if path.name not in {"config.json", *FILES.values()}:
                path.unlink()  # `save_tokenizers` writes the tokenizer
        weights = sorted(folder.glob("model*.safetensors*"))
        if not weights:
            raise UserError(f"{folder} has no weights (model.safetensors); train it again")
        for path in weights:
            shutil.copy(path, place)


def draw_samples(folder: Path, data: Task, max_length: int) -> list[Batch]:
    """Batches of training texts, as a classifier reads them, from which int8 takes its scales."""
    table = data.splits["train"].iloc[:SAMPLES]
    pairs = table["text_pair"].tolist() if has_pairs(table) else None
    given = encode_texts(table["text"].tolist(), pairs, load_tokenizer(folder), max_length)
    rows = np.arange(len(given))
    return [given.pad(part) for part in np.array_split(rows, max(1, len(rows) // BATCH))]


def _predict(
    data: Task, stored: dict[str, Predictions], draft: Path, runtime: str
) -> dict[str, Predictions]:
    """The predictions on these splits, of which torch has stored ones."""
    if runtime == TORCH:
        return stored
    cascade = Cascade.from_pretrained(draft, 1.0, runtime=runtime)
    return {
        split: predict(cascade, data.splits[split], known.costs) for split, known in stored.items()
    }


def _choose_points(
    found: FinishedCascade, metric: str, predicted: Predicted, resampling: Resampling
) -> list[OperatingPoint]:
    """Thresholds for the experiment's speed-ups, and what they give on every split."""
    points = []
    for runtime, splits in predicted.items():
        for target, thresholds in sorted(found.thresholds.items()):
            if runtime == INT8:  # its confidences are others
                knob = choose_knob(splits[DEV], CONFIDENCES, metric, target, found.full_cost)
                thresholds = np.atleast_1d(knob).tolist()
            measured = {
                split: measure(of_split, thresholds, metric, found.full_cost, resampling)
                for split, of_split in splits.items()
            }
            points.append(OperatingPoint(runtime, thresholds, target, None, measured))
    return points


def _certify_points(
    found: FinishedCascade, predicted: Predicted, resampling: Resampling
) -> list[OperatingPoint]:
    """Thresholds that promise a loss of accuracy, and the loss on every split."""
    points = []
    for runtime, splits in predicted.items():
        for most in MAX_LOSSES:
            threshold = certify_threshold(splits[DEV], most, DELTA)
            measured = {
                split: measure_loss([of_split], [threshold], found.full_cost, resampling)
                for split, of_split in splits.items()
            }
            promise = {"max_loss": most, "delta": DELTA}
            thresholds = [threshold] * (len(found.runs) - 1)
            points.append(OperatingPoint(runtime, thresholds, None, promise, measured))
    return points


def describe_origin(found: FinishedCascade, data: Task) -> dict[str, Any]:
    """Experiment, task and system; how the task's files are written; what provenance.json says."""
    entry = complete_entry(found.experiment.config["tasks"][found.task])
    about: dict[str, Any] = {
        "experiment": found.experiment.name,
        "task": found.task,
        "system": found.system.key,
        "title": found.system.title,
        "metric": data.metric,
        "replicate": found.replicate,
        "columns": {
            role: column
            for role, column in entry["columns"].items()
            if role in ("text", "text_pair")
        },
        "format": _describe_format(entry),
        "members": [run.name for run in found.runs],
        "sha256": [
            {path.name: hash_file(path) for path in sorted(folder.glob("*.safetensors"))}
            for folder in found.folders
        ],
    }
    record = found.results / "provenance.json"
    if record.is_file():
        with explaining_damage(record, "record of provenance"):
            whole = json.loads(record.read_text(encoding="utf-8"))
            packages = {name: whole["packages"].get(name, {}).get("here") for name in PACKAGES}
            about |= {"code": whole["code"], "python": whole["python"], "packages": packages}
    return about


def _describe_format(entry: dict[str, Any]) -> dict[str, Any]:
    """The `format` of the file of a task's train split, with its defaults; {} without a file."""
    source = entry["source"]
    if "files" in source:
        return complete_format(source["files"]["train"], entry.get("format", {}))
    if "package" in source:
        return complete_format(source["member"][-1], entry.get("format", {}))
    return complete_format("train.tsv", {}) if "glue" in source else {}
