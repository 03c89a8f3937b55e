"""A task as all later rooms see it: tables, labels and metric."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cascadebert.core.errors import explaining_damage
from cascadebert.core.files import File, replacing
from cascadebert.data.splitting import compare_splits

DEV = "dev"
SPLITS = ("train", DEV, "test", "dev_mismatched", "test_mismatched")
MANY_CUT = 0.05  # a larger share of cut texts is a reason to doubt
COLUMN_TYPES = {"id": "string", "text": "string", "text_pair": "string", "label": "Int64"}


@dataclass(frozen=True, eq=False)
class Task:
    """A data set, in one form for all sources.

    labels:  the labels' names; label i of a table is `labels[i]`
    metric:  "accuracy", or "f1" of the second label
    splits:  some of SPLITS, train and dev among them -> a table of the columns id (unique in the
             split), text, text_pair and label; text_pair is <NA> in every row of a task of single
             texts, label is <NA> in every row of an unlabelled split
    sources: split -> a phrase that names its origin
    """

    name: str
    labels: list[str]
    metric: str
    splits: dict[str, pd.DataFrame]
    sources: dict[str, str]

    @property
    def scored_splits(self) -> list[str]:
        """The labelled test splits; without any, the labelled development splits."""
        labelled = [name for name, table in self.splits.items() if table["label"].notna().all()]
        tests = [split for split in labelled if split.startswith("test")]
        return tests or [split for split in labelled if split.startswith(DEV)]

    @cached_property
    def description(self) -> dict[str, Any]:
        """What task.json says of the task.

        Of every split: the number of rows, of rows of each class, of rows with a text that is in an
        earlier split, too, and of rows whose text has another label elsewhere in the task.
        """
        compared = compare_splits(self.splits)
        return {
            "name": self.name,
            "labels": self.labels,
            "metric": self.metric,
            "splits": {
                split: {
                    "rows": len(table),
                    "labelled": bool(table["label"].notna().all()),
                    "source": self.sources[split],
                    "classes": {
                        label: int((table["label"] == number).sum())
                        for number, label in enumerate(self.labels)
                    },
                    **compared[split],
                }
                for split, table in self.splits.items()
            },
        }

    def save(self, folder: File) -> None:
        """Writes <split>.parquet for every split, and task.json."""
        with replacing(folder) as draft:
            draft.mkdir()
            for split, table in self.splits.items():
                table.to_parquet(draft / f"{split}.parquet", index=False)
            text = json.dumps(self.description, indent=2, ensure_ascii=False) + "\n"
            (draft / "task.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: File) -> "Task":
        """Reads a folder that `save` wrote. Raises UserError if it is damaged or holds no task."""
        folder = Path(folder)
        with explaining_damage(folder, "task folder"):
            described = json.loads((folder / "task.json").read_text(encoding="utf-8"))
            return cls(
                described["name"],
                described["labels"],
                described["metric"],
                {
                    split: pd.read_parquet(folder / f"{split}.parquet").astype(COLUMN_TYPES)
                    for split in described["splits"]
                },
                {split: about["source"] for split, about in described["splits"].items()},
            )


def read_descriptions(folders: Sequence[File], tokens: Sequence[File] = ()) -> list[dict[str, Any]]:
    """Returns the descriptions of the tasks in these folders; see `Task.description`.

    tokens: folders <task>/<encoder> of tokenized splits. A split of such a task has `cut`, too: how
            many of its texts were longer than `max_length`
    """
    described = []
    token_folders = {Path(folder).parent.name: Path(folder) for folder in tokens}
    for folder in folders:
        task = json.loads(Path(folder, "task.json").read_text(encoding="utf-8"))
        for split, about in task["splits"].items():
            if task["name"] in token_folders:
                with np.load(token_folders[task["name"]] / f"{split}.npz") as stored:
                    about["cut"] = int(stored["cut"].sum())
        described.append(task)
    return described


def list_doubts(described: dict[str, Any]) -> list[str]:
    """Returns phrases about what makes scores on a task doubtful.

    described: an item of `read_descriptions`
    """
    name, splits = described["name"], described["splits"]
    doubts = [
        f"{name}: {count:,} of {about['rows']:,} rows of {split} have a text that is in {earlier}, "
        "too, so that scores there are too high"
        for split, about in splits.items()
        for earlier, count in about["shared"].items()
    ]
    disputed = [
        f"{about['contradictory']:,} of {split}"
        for split, about in splits.items()
        if about["contradictory"]
    ]
    if disputed:
        doubts.append(
            f"{name}: rows with a text that has another label in another row: {', '.join(disputed)}"
        )
    for split, about in splits.items():
        missing = [label for label, count in about["classes"].items() if not count]
        if about["labelled"] and missing:
            doubts.append(f"{name}: no row of {split} is labelled {', '.join(missing)}")
        if (cut := about.get("cut", 0)) > MANY_CUT * about["rows"]:
            doubts.append(
                f"{name}: {cut / about['rows']:.0%} of the texts of {split} are longer than "
                "training.max_length and were cut"
            )
    return doubts
