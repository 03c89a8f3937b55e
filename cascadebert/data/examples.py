"""Makes the four columns of a task from a table as it was read, and checks every row."""

import json
import unicodedata
from dataclasses import replace

import pandas as pd

from cascadebert.core.errors import UserError
from cascadebert.data.tables import Table
from cascadebert.data.task import COLUMN_TYPES

INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Zs"}  # Unicode's categories, such as spaces of no width


def make_examples(
    table: Table,
    split: str,
    columns: dict[str, str | int],
    labels: list[str],
    neutral: float = 0.0,
    incomplete: int = 0,
    unlabelled_test: bool = False,
) -> pd.DataFrame:
    """Returns the columns id, text, text_pair and label, as in `Task`.

    columns: role (id, text, text_pair, label or rating) -> column; without an id, rows are called
             <split>-0, <split>-1...
    neutral: with a rating, rows nearer to 0 than this are left out
    incomplete: at most how many rows with an empty text are left out; more are an error
    unlabelled_test: whether test splits may lack labels

    Raises UserError, with file and row, for an empty text, a label that is not the task's, a
    missing label, a bad rating, a repeated id, or a first row that was taken for the header.
    """
    _check_header(table, columns, labels)
    roles = [role for role in ("text", "text_pair") if role in columns]
    texts = pd.DataFrame({role: table.column(columns[role], role).map(_text) for role in roles})
    empty = texts.index[(texts == "").any(axis=1)]
    if len(empty) > incomplete:
        raise table.error(empty[0], "the text is empty or not a text; correct or delete the row")
    # Rows keep their numbers when others are left out: GLUE's server identifies rows by number.
    ids = _ids(table, split, columns.get("id")).drop(index=empty)
    texts = texts.drop(index=empty)
    table = replace(table, cells=table.cells.drop(index=empty))
    frame = pd.DataFrame(
        {
            "id": ids,
            "text": texts["text"],
            "text_pair": texts.get("text_pair"),
            "label": _signs(table, columns["rating"], neutral)
            if "rating" in columns
            else _labels(
                table,
                columns["label"],
                labels,
                split=split,
                optional=unlabelled_test and split.startswith("test"),
            ),
        },
        index=table.cells.index,
    )
    if "rating" in columns:
        frame = frame[frame["label"].notna()]
    return frame.reset_index(drop=True).astype(COLUMN_TYPES)


def _check_header(table: Table, columns: dict[str, str | int], labels: list[str]) -> None:
    """Raises UserError if the header of a table whose columns have numbers has a row's values."""
    names = list(table.cells.columns)
    header = {
        role: names[key]
        for role, key in columns.items()
        if isinstance(key, int) and table.has(key) and isinstance(names[key], str)
    }
    if len(header) < len(columns):
        return
    if "rating" in header:
        is_row = not pd.isna(pd.to_numeric(header["rating"], errors="coerce"))
    else:
        is_row = header["label"].strip() in _classes(labels)
    if is_row:
        raise table.error(
            1,
            f"the header is {', '.join(names)!r:.100}, which looks like a row; set the task's "
            "format.header to false",
        )


def _text(cell: object) -> str:
    """Returns the text without outer spaces, "" for a cell without a text that can be seen."""
    text = cell.strip() if isinstance(cell, str) else ""
    return text if any(unicodedata.category(c) not in INVISIBLE for c in text) else ""


def _word(cell: object) -> str:
    """Returns a label or an id as a string, whatever its type in the file."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None or cell != cell:
        return ""
    return json.dumps(cell, default=str)


def _ids(table: Table, split: str, key: str | int | None) -> pd.Series:
    if key is None:
        names = [f"{split}-{row}" for row in range(len(table.cells))]
        return pd.Series(names, table.cells.index, dtype=object)
    ids = table.column(key, "id").map(_word)
    if (empty := ids == "").any():
        raise table.error(ids.index[empty][0], "the id is empty; give one, or leave out columns.id")
    if (twice := ids.duplicated()).any():
        place, name = next(ids[twice].items())
        first = ids.index[ids == name][0]
        raise table.error(
            place,
            f"{table.unit} {first} has the id {name!r} too; ids must be unique in a split: correct "
            "them, or leave out columns.id",
        )
    return ids


def _classes(labels: list[str]) -> dict[str, int]:
    """Returns what stands for a label in a file -> the label's number.

    A label is a name of `labels`. If no name is a number, a label may also be a number, from 0.
    """
    classes = {name: number for number, name in enumerate(labels)}
    if not any(name.lstrip("-").isdigit() for name in labels):
        classes |= {str(number): number for number in range(len(labels))}
    return classes


def _labels(
    table: Table, key: str | int, labels: list[str], *, split: str, optional: bool
) -> pd.Series:
    """Returns class numbers; <NA> in every row of an unlabelled split.

    optional: whether the split may be unlabelled
    """
    if not table.has(key):
        if optional:
            return pd.Series(pd.NA, table.cells.index, dtype="Int64")
        if split.startswith("test"):
            raise UserError(
                f"{table.origin}: no column {key!r} for the label; correct `columns`, or set the "
                "task's unlabelled_test to true if its test split has no labels: then dev is scored"
            )
    classes = _classes(labels)
    words = table.column(key, "label").map(_word)
    numbers = words.map(classes).astype("Int64")
    unlabelled = words.isin({"", "-1"} - classes.keys())
    if (unknown := numbers.isna() & ~unlabelled).any():
        place, word = next(words[unknown].items())
        allowed = ", ".join(labels)
        raise table.error(place, f"the label {word!r} is none of the task's: {allowed}; correct it")
    if unlabelled.any() and not (optional and unlabelled.all()):
        without = split.startswith("test") and unlabelled.all()
        raise table.error(
            words.index[unlabelled][0],
            f"no label, but the {split} split needs one in every row; "
            + (
                "set the task's unlabelled_test to true if it has none: then dev is scored"
                if without
                else "label or delete the row"
            ),
        )
    return numbers


def _signs(table: Table, key: str | int, neutral: float) -> pd.Series:
    """Returns 1 for a rating above 0, 0 for one below, <NA> at 0 and nearer to 0 than `neutral`."""
    words = table.column(key, "rating").map(_word)
    ratings = pd.to_numeric(words, errors="coerce")
    if (bad := ~ratings.abs().lt(float("inf"))).any():
        place, word = next(words[bad].items())
        raise table.error(place, f"the rating {word!r} is not a number; correct or delete the row")
    signs = (ratings > 0).astype("Int64")
    return signs.mask((ratings.abs() < neutral) | (ratings == 0))


def check_labels(name: str, labels: list[str], frame: pd.DataFrame, phrase: str) -> None:
    """Raises UserError unless every label occurs in the train split: others would not be learnt."""
    seen = set(frame["label"])
    never = [label for number, label in enumerate(labels) if number not in seen]
    if never:
        raise UserError(
            f"task {name}: no row of the train split ({phrase}) is labelled {', '.join(never)}; "
            "correct the task's `labels`, or raise limit.train if it leaves too few rows"
        )
