"""Reads data sets of the Hugging Face hub, and local folders in the same form."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from cascadebert.core.errors import UserError, explain_error
from cascadebert.core.hub import limit_waiting, shorten_error
from cascadebert.data.glue import identify_glue_task, list_glue_splits
from cascadebert.data.tables import Table


def load_dataset(name: str, config: str | None, **arguments: Any) -> Any:
    """Returns what `datasets.load_dataset` returns; raises UserError if it cannot load the data.

    name: a data set of the hub, or a folder
    """
    import datasets  # slow to import, and no other source needs it

    limit_waiting()
    folder = Path(name)
    try:
        return datasets.load_dataset(str(folder) if folder.is_dir() else name, config, **arguments)
    except Exception as error:  # whatever the hub, the network or a data set's files can raise
        if explain_error(error, os.curdir):
            raise
        title = f"{name} ({config})" if config else name
        told = error
        if isinstance(error, datasets.exceptions.DatasetGenerationError):  # it says no more
            told = error.__cause__ or error
        raise UserError(
            f"data set {title} could not be loaded ({shorten_error(told)}); correct its name and "
            "configuration, make the hub reachable, or give a folder with the data set's files"
        ) from error


def read_hub_tables(source: dict[str, Any]) -> dict[str, Table]:
    """Returns split -> table.

    source: hub (a data set's name, or a folder), config, revision, and splits (split -> name of the
            split on the hub; by default train, validation as dev, and test, if the hub has them)
    """
    import datasets

    name, config = source["hub"], source.get("config")
    title = f"{name} ({config})" if config else name
    found = load_dataset(name, config, revision=source.get("revision"))
    names = source.get("splits")
    if names is None:
        usual = {
            split: hub
            for split, (_, hub) in list_glue_splits(identify_glue_task(source) or "").items()
        }
        names = {split: hub for split, hub in usual.items() if hub in found or split == "train"}
    tables = {}
    for split, hub_split in names.items():
        if hub_split not in found:
            raise UserError(
                f"{title} has no split {hub_split!r} for {split}; name one of {', '.join(found)} "
                f"in source.splits.{split}"
            )
        rows = found[hub_split]
        columns = rows[:]
        for column, feature in rows.features.items():
            if isinstance(feature, datasets.ClassLabel):
                # Names instead of numbers: the task may list its labels in another order.
                columns[column] = [
                    None if label is None or label < 0 else feature.int2str(label)
                    for label in columns[column]
                ]
        cells = pd.DataFrame(columns, index=range(1, len(rows) + 1), dtype=object)
        phrase = f"the official {hub_split} split of {title}"
        tables[split] = Table(f"{title}, split {hub_split}", phrase, "row", cells)
    return tables
