"""Makes the four columns of a task from a table as it was read, and checks every row."""

import json
from dataclasses import replace

import pandas as pd

from cascadebert.core.errors import UserError
from cascadebert.data.tables import Table
from cascadebert.data.task import COLUMN_TYPES


def make_examples(
    table: Table,
    split: str,
    columns: dict[str, str | int],
    labels: list[str],
    neutral: float = 0.0,
    incomplete: int = 0,
) -> pd.DataFrame:
    """Returns the columns id, text, text_pair and label, as in `Task`.

    columns: role (id, text, text_pair, label or rating) -> column; without an id, rows are called
             <split>-0, <split>-1...
    neutral: with a rating, rows nearer to 0 than this are left out
    incomplete: at most how many rows with an empty text are left out; more are an error

    Raises UserError, with file and row, for an empty text, a label that is not the task's, a
    missing label, a bad rating or a repeated id.
    """
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
            else _labels(table, split, columns["label"], labels),
        },
        index=table.cells.index,
    )
    if "rating" in columns:
        frame = frame[frame["label"].notna()]
    return frame.reset_index(drop=True).astype(COLUMN_TYPES)


def _text(cell: object) -> str:
    return cell.strip() if isinstance(cell, str) else ""


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


def _labels(table: Table, split: str, key: str | int, labels: list[str]) -> pd.Series:
    """Returns class numbers; <NA> in every row of an unlabelled split.

    Only a test split may be unlabelled. A label in the table is a name of `labels`. If no name is a
    number, a label may also be a number, counted from 0.
    """
    missing = pd.Series(pd.NA, table.cells.index, dtype="Int64")
    optional = split.startswith("test")
    if optional and not table.has(key):
        return missing
    classes = {name: number for number, name in enumerate(labels)}
    if not any(name.lstrip("-").isdigit() for name in labels):
        classes |= {str(number): number for number in range(len(labels))}
    words = table.column(key, "label").map(_word)
    numbers = words.map(classes).astype("Int64")
    unlabelled = words.isin({"", "-1"} - classes.keys())
    if (unknown := numbers.isna() & ~unlabelled).any():
        place, word = next(words[unknown].items())
        allowed = ", ".join(labels)
        raise table.error(place, f"the label {word!r} is none of the task's: {allowed}; correct it")
    if unlabelled.any() and not (optional and unlabelled.all()):
        raise table.error(
            words.index[unlabelled][0],
            f"no label, but the {split} split needs one in every row; label or delete the row",
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
