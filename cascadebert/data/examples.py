"""Makes the four columns of a task from a table as it was read, and checks every row."""

import unicodedata
from dataclasses import replace

import pandas as pd

from cascadebert.core.errors import UserError
from cascadebert.core.text import quote, show
from cascadebert.data.labels import as_word, number_words
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
    optional_labels: bool = False,
) -> pd.DataFrame:
    """Returns the columns id, text, text_pair and label, as in `Task`.

    columns: role (id, text, text_pair, label or rating) -> column; without an id, rows are called
             <split>-0, <split>-1...
    neutral: with a rating, rows nearer to 0 than this are left out
    incomplete: at most how many rows with an empty text are left out; more are an error
    optional_labels: whether all rows may lack labels

    Raises UserError, with file and row, for an empty text, a label that is not the task's, a
    missing label, a bad rating, a repeated id, a NUL character, a first row that was taken for the
    header, or rows that were taken for a text.
    """
    _check_header(table, columns, labels)
    _check_open_quotes(table, columns, labels)
    roles = [role for role in ("text", "text_pair") if role in columns]
    texts = pd.DataFrame({role: table.column(columns[role], role).map(_text) for role in roles})
    empty = texts.index[(texts == "").any(axis=1)]
    if len(empty) > incomplete:
        raise table.error(empty[0], "the text is empty or not a text; correct or delete the row")
    # Rows keep their numbers when others are left out: GLUE's server identifies rows by number.
    ids = _ids(table, split, columns.get("id")).drop(index=empty)
    texts = texts.drop(index=empty)
    for column in (ids, *(texts[role] for role in roles)):
        for place, cell in column.items():
            if "\0" in cell:
                raise table.error(place, "a NUL character, which no text has; delete it")
    table = replace(table, cells=table.cells.drop(index=empty))
    frame = pd.DataFrame(
        {
            "id": ids,
            "text": texts["text"],
            "text_pair": texts.get("text_pair"),
            "label": _signs(table, columns["rating"], neutral)
            if "rating" in columns
            else _labels(table, columns["label"], labels, split=split, optional=optional_labels),
        },
        index=table.cells.index,
    )
    if "rating" in columns:
        frame = frame[frame["label"].notna()]
    return frame.reset_index(drop=True).astype(COLUMN_TYPES)


def skip_unlabelled(table: Table, columns: dict[str, str | int], labels: list[str]) -> Table:
    """Returns the table without the rows that have no label; whole where it has no such column."""
    if not table.has(columns["label"]):
        return table  # as in a test file
    words = table.column(columns["label"], "label").map(as_word)
    return replace(table, cells=table.cells[~_lack_label(words, labels)])


def _check_header(table: Table, columns: dict[str, str | int], labels: list[str]) -> None:
    """Raises UserError if the header of a table whose columns have numbers may be a row.

    Its label tells. Without labels, as in many test files, only the task's `format` can.
    """
    if not table.header:
        return
    names = list(table.cells.columns)
    header = {
        role: names[key]
        for role, key in columns.items()
        if isinstance(key, int) and table.has(key) and isinstance(names[key], str)
    }
    if len(header) < len(columns):
        by_place = all(isinstance(key, int) for key in columns.values())
        has_labels = table.has(columns.get("label", columns.get("rating", "")))
        if by_place and not has_labels and not table.header_said:
            raise table.error(
                1,
                "this line is a header or a row, and without labels nothing tells which; set the "
                "task's format.header to true or false",
            )
        return
    if _may_be_label(header.get("label", header.get("rating", "")), columns, labels):
        raise table.error(
            1,
            f"the header is {', '.join(names)!r:.100}, which looks like a row; set the task's "
            "format.header to false",
        )


def _check_open_quotes(table: Table, columns: dict[str, str | int], labels: list[str]) -> None:
    """Raises UserError if a row has lines that look like rows: a quote then encloses all of them.

    CSV files that were not written as such may have a quote that opens a text and is never closed.
    """
    key = columns.get("label", columns.get("rating", ""))
    if table.quoted is None or not table.has(key):
        return
    names = list(table.cells.columns)
    at = key if isinstance(key, int) else names.index(key)
    for place, row in zip(table.cells.index, table.cells.to_numpy(), strict=True):
        lines = table.quoted.join(row).splitlines()
        if len(lines) == 1:
            continue
        fields = [line.split(table.quoted) for line in lines]
        rows = [
            each
            for each in fields
            if len(each) == len(names) and _may_be_label(each[at], columns, labels)
        ]
        # One line looks like a row where the text has no comma before or after its last line break.
        if len(rows) > 1:
            raise table.error(
                place,
                f"quotes enclose {len(lines)} lines, of which {len(rows)} look like rows; correct "
                "the quotes, or set the task's format.quotes to false if they are ordinary "
                "characters, and to true if all is well",
            )


def _may_be_label(word: str, columns: dict[str, str | int], labels: list[str]) -> bool:
    if "rating" in columns:
        return not pd.isna(pd.to_numeric(word, errors="coerce"))
    return word.strip() in number_words(labels)


def _text(cell: object) -> str:
    """Returns the text without outer spaces, "" for a cell without a text that can be seen."""
    text = cell.strip() if isinstance(cell, str) else ""
    return text if any(unicodedata.category(c) not in INVISIBLE for c in text) else ""


def _ids(table: Table, split: str, key: str | int | None) -> pd.Series:
    if key is None:
        names = [f"{split}-{row}" for row in range(len(table.cells))]
        return pd.Series(names, table.cells.index, dtype=object)
    ids = table.column(key, "id").map(as_word)
    if (empty := ids == "").any():
        raise table.error(ids.index[empty][0], "the id is empty; give one, or leave out columns.id")
    if (twice := ids.duplicated()).any():
        place, name = next(ids[twice].items())
        first = ids.index[ids == name][0]
        raise table.error(
            place,
            f"{table.unit} {first} has the id {name!r:.100} too; ids must be unique in a split: "
            "correct them, or leave out columns.id",
        )
    return ids


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
    classes = number_words(labels)
    words = table.column(key, "label").map(as_word)
    numbers = words.map(classes).astype("Int64")
    unlabelled = _lack_label(words, labels)
    if (unknown := numbers.isna() & ~unlabelled).any():
        place, word = next(words[unknown].items())
        allowed = ", ".join(map(show, labels))
        raise table.error(
            place, f"the label {quote(word):.100} is none of the task's: {allowed:.500}; correct it"
        )
    if unlabelled.any() and not (optional and unlabelled.all()):
        without = split.startswith("test") and unlabelled.all()
        raise table.error(
            words.index[unlabelled][0],
            f"no label, but the {split} split needs one in every row; "
            + (
                "set the task's unlabelled_test to true if it has none: then dev is scored"
                if without
                else "label or delete the row, or set the task's skip_unlabelled to true"
            ),
        )
    return numbers


def _lack_label(words: pd.Series, labels: list[str]) -> pd.Series:
    """Returns whether each word stands for no label: nothing, or -1 where no label is called so."""
    return words.isin({"", "-1"} - number_words(labels).keys())


def _signs(table: Table, key: str | int, neutral: float) -> pd.Series:
    """Returns 1 for a rating above 0, 0 for one below, <NA> at 0 and nearer to 0 than `neutral`."""
    words = table.column(key, "rating").map(as_word)
    ratings = pd.to_numeric(words, errors="coerce")
    if (bad := ~ratings.abs().lt(float("inf"))).any():
        place, word = next(words[bad].items())
        raise table.error(
            place, f"the rating {word!r:.100} is not a number; correct or delete the row"
        )
    signs = (ratings > 0).astype("Int64")
    return signs.mask((ratings.abs() < neutral) | (ratings == 0))


def check_labels(
    name: str, columns: dict[str, str | int], labels: list[str], frame: pd.DataFrame, phrase: str
) -> None:
    """Raises UserError unless every label occurs in the train split: others would not be learnt."""
    seen = set(frame["label"])
    never = [label for number, label in enumerate(labels) if number not in seen]
    if never:
        advice = (
            f"ratings below 0 are {labels[0]} and those above 0 are {labels[1]}, so subtract the "
            "middle of their scale from them"
            if "rating" in columns
            else "correct the task's `labels`"
        )
        raise UserError(
            f"task {name}: no row of the train split ({phrase}) is labelled {', '.join(never)}; "
            f"{advice}, or raise limit.train if it leaves too few rows"
        )
