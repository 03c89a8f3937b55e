"""Loads the task that an entry of the configuration describes."""

import logging
import re
from collections.abc import Collection, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from cascadebert.core.errors import UserError
from cascadebert.core.seeds import derive_seed
from cascadebert.data.examples import check_labels, make_examples, skip_unlabelled
from cascadebert.data.glue import (
    GLUE,
    identify_glue_task,
    name_glue_columns,
    read_glue_tables,
)
from cascadebert.data.hub import read_hub_tables
from cascadebert.data.package import read_package_table
from cascadebert.data.splitting import draw_rows, draw_splits
from cascadebert.data.tables import Table, find_kind, is_encoding, parse, read_file
from cascadebert.data.task import SPLITS, Task, list_doubts

log = logging.getLogger(__name__)


def complete_entry(spec: dict[str, Any]) -> dict[str, Any]:
    """Returns an entry of the configuration with all that is known of a GLUE task."""
    source = spec["source"]
    glue = identify_glue_task(source)
    if not glue:
        return spec
    known = GLUE[glue]
    columns = known.hub_columns if "hub" in source else known.file_columns
    of_glue: dict[str, Any] = {
        "columns": name_glue_columns(columns),
        "labels": list(known.labels),
        "metric": known.metric,
    }
    return of_glue | spec


def list_labels(spec: dict[str, Any]) -> list[str]:
    """Returns the labels of an entry of the configuration; none where they are missing."""
    return complete_entry(spec).get("labels", [])


def list_entry_mistakes(spec: dict[str, Any]) -> list[str]:
    """Returns what a valid entry cannot mean, as far as this is known before its data is read."""
    known = complete_entry(spec)
    if missing := [key for key in ("columns", "labels") if key not in known]:
        return [f"`{key}` is missing; only a GLUE task may leave it out" for key in missing]
    source, columns, labels = spec["source"], known["columns"], known["labels"]
    found = []
    for what, is_wanted in (
        ("a rating", "rating" in columns),
        ("metric f1", known.get("metric") == "f1"),
    ):
        if is_wanted and len(labels) != 2:
            found.append(f"`labels` has {len(labels)} names, but {what} needs two")
    roles = [role for role in columns if role != "id"]
    for first, second in combinations(roles, 2):
        if columns[first] == columns[second]:
            found.append(
                f"columns: {first} and {second} are both column {columns[first]!r}; name another "
                "column for one of them"
            )
    for key in ("skip_unlabelled", "unlabelled_test"):
        if spec.get(key) and "rating" in columns:
            found.append(f"{key} concerns labels, and columns.rating gives none; delete it")
    if "neutral" in spec and "rating" not in columns:
        found.append("neutral concerns ratings, and `columns` has no rating; delete it")
    form, files = spec.get("format", {}), source.get("files", {}).values()
    if not is_encoding(encoding := form.get("encoding", "utf-8")):
        found.append(f"format.encoding {encoding!r} is no encoding")
    if {find_kind(path, form) for path in files} == {"jsonl"}:
        concerns = "concerns CSV and TSV, and the files are JSONL; delete it"
        found += [f"format.{key} {concerns}" for key in ("header", "quotes") if key in form]
    there = ["train"] if "package" in source else source.get("files") or source.get("splits")
    return found + (_list_split_mistakes(spec, there) if there else [])


def refuse_mistakes(name: str, found: list[str]) -> None:
    """Raises UserError with the mistakes in the entry of a task, one a line, if there are any."""
    if found:
        raise UserError("\n".join(f"task {name}: {sentence}" for sentence in found))


def _list_split_mistakes(spec: dict[str, Any], there: Collection[str]) -> list[str]:
    """Returns what `split`, `hold_out` and `limit` cannot mean.

    there: the splits that the source has
    """
    found = []
    shares, held_out = spec.get("split") or {}, spec.get("hold_out")
    if already := set(there) & shares.keys():
        found.append(f"split.{min(already)}: the source has that split; leave one of them out")
    if sum(shares.values()) >= 1:
        found.append("the shares of `split` leave nothing to train on")
    made = {*there, *shares}
    if held_out and "dev" in there:
        made = {"train", "dev", "test"}
        made |= {"test_mismatched"} if "dev_mismatched" in there else set()
    elif held_out:
        found.append("hold_out needs a source with a dev split, which becomes test")
    elif "dev" not in made:
        found.append(
            "there is no dev split, but thresholds are chosen on it; name its source, or take a "
            "share of train with split: {dev: 0.1}"
        )
    names = ", ".join(sorted(made, key=SPLITS.index))
    limits = spec.get("limit") or {}
    return found + [
        f"limit.{split}: the task's splits are {names}" for split in limits if split not in made
    ]


def load_task(name: str, spec: dict[str, Any], seed: int) -> Task:
    """Returns the task that an entry of the configuration describes.

    spec: an entry that config/tasks.schema.yaml accepts; the schema describes every key
    seed: the experiment's seed; random splits and subsets depend on it and on the task's name

    Raises UserError if something is wrong with the entry or with the data.
    """
    refuse_mistakes(name, list_entry_mistakes(spec))
    spec = complete_entry(spec)
    splits, sources = _read_splits(spec)
    refuse_mistakes(name, _list_split_mistakes(spec, splits))
    if spec.get("split"):
        _divide_train(splits, sources, spec["split"], derive_seed(seed, name, "split"))
    if spec.get("hold_out"):
        _hold_out(name, splits, sources, spec["hold_out"], derive_seed(seed, name, "split"))
    for split, rows in (spec.get("limit") or {}).items():
        if rows < len(splits[split]):
            drawn = draw_rows(splits[split], rows, derive_seed(seed, name, "limit", split))
            splits[split], sources[split] = drawn, f"{rows:,} rows of {sources[split]}"
    for split, frame in splits.items():
        if frame.empty:
            raise UserError(f"task {name}: no row in its {split} split ({sources[split]})")
    check_labels(name, spec["columns"], spec["labels"], splits["train"], sources["train"])
    order = sorted(splits, key=SPLITS.index)
    splits, sources = ({split: parts[split] for split in order} for parts in (splits, sources))
    task = Task(name, spec["labels"], spec.get("metric", "accuracy"), splits, sources)
    doubts = list_doubts(task.description)
    if doubts and spec.get("strict"):
        raise UserError(
            "\n".join(doubts) + f"\nCorrect the files, or take `strict` from task {name}"
        )
    for doubt in doubts:
        log.warning("%s", doubt)
    return task


def list_source_files(spec: dict[str, Any]) -> list[str]:
    """Returns the local files that a task is read from, as the entry names them; [] if fetched."""
    source = spec["source"]
    if "files" in source:
        return list(source["files"].values())
    if "glue" in source:
        return sorted(str(path) for path in Path(source["folder"]).glob("*.tsv"))
    if "hub" in source:  # perhaps a folder
        folder = Path(source["hub"])
        return sorted(
            str(path)
            for path in folder.rglob("*")
            if path.is_file() and not re.search(r"(^|/)\.", str(path.relative_to(folder)))
        )
    return [source["archive"]] if source.get("archive") else []


def place_source_files(
    spec: dict[str, Any], named: Sequence[str], files: Sequence[str]
) -> dict[str, Any]:
    """Returns the entry with its local files elsewhere.

    named: what `list_source_files` returned where the files were
    files: where they are now, in the same order
    """
    source = dict(spec["source"])
    if "files" in source:
        source["files"] = dict(zip(source["files"], files, strict=True))
    elif source.get("archive"):
        source["archive"] = files[0]
    elif files:
        key = "folder" if "glue" in source else "hub"
        source[key] = files[0].removesuffix(named[0]) + source[key]
    return {**spec, "source": source}


def _read_splits(spec: dict[str, Any]) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Returns split -> examples, and split -> a phrase that names their origin; as they are read.

    spec: an entry with all that is known of a GLUE task
    """
    source, columns, labels = spec["source"], spec["columns"], spec["labels"]
    glue, skips = identify_glue_task(source), spec.get("skip_unlabelled", False)
    optional = bool(glue) or spec.get("unlabelled_test", False)
    splits, sources = {}, {}
    for split, table in _tables(source, spec.get("format", {})).items():
        labelled = skip_unlabelled(table, columns, labels) if skips else table
        may_lack = optional and split.startswith("test")
        splits[split] = make_examples(
            table if may_lack and labelled.cells.empty else labelled,
            split,
            columns,
            labels,
            neutral=spec.get("neutral", 0.0),
            incomplete=GLUE[glue].incomplete if glue else 0,
            optional_labels=may_lack,
        )
        sources[split], rows = table.phrase, len(table.cells) + table.broken
        if left_out := rows - len(splits[split]):
            why = "neutral" if "rating" in columns else "unlabelled" if skips else "incomplete"
            sources[split] += f", without {left_out:,} {why} rows of {rows:,}"
    return splits, sources


def _tables(source: dict[str, Any], form: dict[str, Any]) -> dict[str, Table]:
    if "package" in source:
        return {"train": read_package_table(source, form)}
    if "hub" in source:
        return read_hub_tables(source)
    if "glue" in source:
        return read_glue_tables(source)
    return {
        split: parse(read_file(Path(path)), str(path), path, form)
        for split, path in source["files"].items()
    }


def _divide_train(
    splits: dict[str, pd.DataFrame],
    sources: dict[str, str],
    shares: dict[str, float],
    seed: int,
) -> None:
    """Moves shares of train to splits that the source does not have. Changes its arguments."""
    whole = sources["train"]
    splits |= draw_splits(splits["train"], shares, seed)
    for split, share in {**shares, "train": 1 - sum(shares.values())}.items():
        sources[split] = f"{100 * share:.3g}% of {whole}"


def _hold_out(
    name: str,
    splits: dict[str, pd.DataFrame],
    sources: dict[str, str],
    share: float,
    seed: int,
) -> None:
    """Makes dev of a share of train, and test splits of the official dev splits.

    Changes `splits` and `sources`. Raises UserError if a test split has labels.
    """
    for split, table in splits.items():
        if split.startswith("test") and table["label"].notna().all():
            raise UserError(
                f"task {name}: hold_out is for tasks without a labelled test split, and {split} "
                "has labels; leave hold_out out"
            )
    for dev, test in (("dev", "test"), ("dev_mismatched", "test_mismatched")):
        splits.pop(test, None)
        sources.pop(test, None)
        if dev in splits:
            splits[test], sources[test] = splits.pop(dev), sources.pop(dev)
    _divide_train(splits, sources, {"dev": share}, seed)
