"""The six GLUE tasks of the paper: their layout in the GLUE download and on the hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascadebert.core.errors import UserError
from cascadebert.data.tables import Table, parse, read_file


@dataclass(frozen=True)
class GlueTask:
    """The columns, labels and metric of a GLUE task.

    file_columns, hub_columns: columns of the text, of the second text if any, and of the label
    labels: in the order of GLUE's label numbers
    incomplete: at most how many rows of a split may lack a field or a text; they are left out
    """

    file_columns: tuple[str, ...]
    hub_columns: tuple[str, ...]
    labels: tuple[str, ...]
    metric: str = "accuracy"
    incomplete: int = 0


ENTAILMENT = ("entailment", "not_entailment")
PAIR = ("sentence1", "sentence2", "label")
QUESTION = ("question", "sentence", "label")
SENTENCE = ("sentence", "label")
GLUE = {
    "MNLI": GlueTask(
        ("sentence1", "sentence2", "gold_label"),
        ("premise", "hypothesis", "label"),
        ("entailment", "neutral", "contradiction"),
    ),
    "MRPC": GlueTask(
        ("#1 String", "#2 String", "Quality"), PAIR, ("not_equivalent", "equivalent"), "f1"
    ),
    "QNLI": GlueTask(QUESTION, QUESTION, ENTAILMENT),
    # In GLUE's own QQP some lines are broken in two and some questions are empty. It is usual to
    # leave the broken lines out; the hub's copy does so, too.
    "QQP": GlueTask(
        ("question1", "question2", "is_duplicate"),
        ("question1", "question2", "label"),
        ("not_duplicate", "duplicate"),
        "f1",
        incomplete=100,
    ),
    "RTE": GlueTask(PAIR, PAIR, ENTAILMENT),
    "SST-2": GlueTask(SENTENCE, SENTENCE, ("negative", "positive")),
}

# split -> the name of its file, and its name on the hub
SPLITS = {"train": ("train", "train"), "dev": ("dev", "validation"), "test": ("test", "test")}
MNLI_SPLITS = {
    "train": ("train", "train"),
    "dev": ("dev_matched", "validation_matched"),
    "dev_mismatched": ("dev_mismatched", "validation_mismatched"),
    "test": ("test_matched", "test_matched"),
    "test_mismatched": ("test_mismatched", "test_mismatched"),
}


def identify_glue_task(source: dict[str, Any]) -> str | None:
    """Returns the GLUE task of a source; None for other data.

    The source may be the GLUE download, nyu-mll/glue on the hub, or a copy of it.
    """
    if "glue" in source:
        return source["glue"]
    if Path(source.get("hub", "")).name != "glue":
        return None
    config = (source.get("config") or "").lower()
    return {glue.lower().replace("-", ""): glue for glue in GLUE}.get(config)


def name_glue_columns(columns: tuple[str, ...]) -> dict[str, str]:
    """Returns role -> column, in the form of a task's `columns`."""
    roles = ("text", "text_pair", "label") if len(columns) == 3 else ("text", "label")
    return dict(zip(roles, columns, strict=True))


def list_glue_splits(glue: str) -> dict[str, tuple[str, str]]:
    return MNLI_SPLITS if glue == "MNLI" else SPLITS


def read_glue_tables(source: dict[str, Any]) -> dict[str, Table]:
    """Returns split -> table, from a folder with the files of one task of the GLUE download.

    source: glue (the task) and folder

    In GLUE's .tsv files, quotes are ordinary characters. The test files, which have no labels, may
    be missing. Raises UserError if another file is.
    """
    glue, folder = source["glue"], Path(source["folder"])
    tables = {}
    for split, (stem, _) in list_glue_splits(glue).items():
        path = folder / f"{stem}.tsv"
        if split.startswith("test") and folder.is_dir() and not path.exists():
            continue
        if not path.is_file():
            raise UserError(
                f"{path} is missing; source.folder must be the folder that has GLUE's {stem}.tsv "
                f"of {glue}"
            )
        phrase = f"the official {stem} split of GLUE {glue}"
        form = {"type": "tsv", "quotes": False}
        tables[split] = parse(read_file(path), str(path), phrase, form, GLUE[glue].incomplete)
    return tables
