"""Finds out how a table is written, and which of its columns have the texts and the labels."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cascadebert.commands.rows import TEXT_NAMES
from cascadebert.core.errors import UserError
from cascadebert.core.text import show
from cascadebert.data.labels import as_word
from cascadebert.data.tables import MARKS, PACKED, Table, find_kind, parse, read_file

LABEL_NAMES = {"label", "labels", "class", "category", "sentiment", "target", "queue", "intent"}
LABEL_NAMES |= {"topic", "tag", "gold", "y", "stars", "rating"}
MOST_LABELS = 100
DELIMITERS = {";": "semicolons", "|": "bars", "\t": "tabs"}


@dataclass(frozen=True)
class Columns:
    """names: role -> column, as in a task's `columns`; header: whether line 1 names them"""

    names: dict[str, str | int]
    header: bool

    def list_labels(self, table: Table) -> list[str]:
        words = table.column(self.names["label"], "label").map(as_word)
        return sorted({word for word in words if word})


def read_table(path: Path, form: dict[str, Any] | None = None) -> tuple[Table, dict[str, Any]]:
    """Reads a file of unknown encoding and kind. Returns the table and the task's `format`.

    Raises UserError if it is no table.
    """
    data = read_file(path)
    form = dict(form or {})
    if "encoding" not in form and (found := _guess_encoding(data, path)) != "utf-8":
        form["encoding"] = found
    start = data[:100_000].decode(form.get("encoding", "utf-8"), errors="replace")
    line = next((line for line in start.splitlines() if line.strip()), "")
    kind = find_kind(str(path), form)
    if kind is None:
        kind = "jsonl" if line.startswith(("{", "[")) else "tsv" if "\t" in line else "csv"
        form["type"] = kind
    if kind == "csv" and "," not in line and "\t" in line:
        form["type"] = kind = "tsv"
    elif line and kind in ("csv", "tsv") and ("," if kind == "csv" else "\t") not in line:
        for delimiter, name in DELIMITERS.items():
            if delimiter in line:
                raise UserError(
                    f"{path}: its fields seem to be separated by {name}; save it with commas (.csv)"
                    " or tabs (.tsv)"
                )
        raise UserError(f"{path}: its first line has one field; texts need labels beside them")
    try:
        table = parse(data, str(path), path.name, form)
    except UserError:
        if kind != "tsv" or "quotes" in form:
            raise
        form["quotes"] = True  # as pandas and spreadsheets write TSV
        table = parse(data, str(path), path.name, form)
    return table, form


def _guess_encoding(data: bytes, path: Path) -> str:
    """Raises UserError for what is neither Unicode nor text of Western Europe.

    In latin-1 any bytes are text, so that it is no guess: Shift JIS, say, would be garbled.
    """
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding
    for encoding in ("utf-8", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding == "utf-8":
                _refuse_damaged(data, path, error.start)
            continue
        return encoding
    for start, kind in PACKED.items():
        if data.startswith(start):
            raise UserError(f"{path} is {kind}, no text; unpack it, or save it as CSV")
    raise UserError(
        f"{path} is neither UTF-8 nor in an encoding of Western Europe; save it as UTF-8 (in "
        "Excel: CSV UTF-8)"
    )


def _refuse_damaged(data: bytes, path: Path, start: int) -> None:
    """Raises UserError if most of what is not ASCII is UTF-8, as where a text was cut in a letter.

    start: of the first bytes that are none
    """
    text = data.decode(errors="replace")
    if len(re.findall("[^\0-\x7f\ufffd]", text)) > text.count("\ufffd"):
        line = data.count(b"\n", 0, start) + 1
        said = "bytes that are no UTF-8, as the rest is; correct them"
        raise UserError(f"{path}, line {line}: {said}")


def choose_columns(table: Table, text: str | None, label: str | None, pair: str | None) -> Columns:
    """Proposes columns: the texts are the longest words, the labels those that often repeat.

    text, label, pair: columns that the user names, or None

    Raises UserError if no column can be one of these, or if there is no row.
    """
    cells = table.cells
    if cells.empty:
        raise UserError(f"{table.origin} has a header, but no row")
    for name in filter(None, (text, label, pair)):
        if not table.has(name):
            there = ", ".join(map(show, cells.columns))
            raise UserError(f"{table.origin}: no column {show(name)}; there are {there:.300}")
    is_named = any(name and not name.isdecimal() for name in (text, label, pair))
    words = {name: cells[name].map(as_word) for name in cells.columns}
    length = {name: column.str.len().mean() for name, column in words.items()}
    distinct = {name: column[column != ""].nunique() for name, column in words.items()}
    if label is None:
        taken = {text, pair}
        longest = text or _find_text(length, taken)
        few = [
            name
            for name in cells.columns
            if name not in taken | {longest}
            and 2 <= distinct[name] <= min(MOST_LABELS, max(2, len(cells) // 2))
        ]
        named = [name for name in few if _fold(name) in LABEL_NAMES]
        if not few:
            told = ", ".join(f"{show(name)} {count:,}" for name, count in distinct.items())
            raise UserError(
                f"{table.origin}: no column looks like labels, with 2 to {MOST_LABELS} different "
                f"values that repeat; name it with --label. Different values of each: {told:.300}"
            )
        label = named[0] if named else few[-1]
    if text is None:
        rest = [name for name in cells.columns if name not in (label, pair)]
        if not rest:
            raise UserError(f"{table.origin}: no column is left for the texts; name it with --text")
        text = _find_text(length, {label, pair})
    if text == label or pair in (text, label):
        raise UserError(f"{table.origin}: texts and labels need columns of their own")
    roles = {"text": text, "text_pair": pair, "label": label}
    names: dict[str, str | int] = {role: name for role, name in roles.items() if name is not None}
    header = not table.header or is_named or not _is_row(words, label)
    if not header:
        there = list(cells.columns)
        names = {role: there.index(name) for role, name in names.items()}
    return Columns(names, header)


def _is_row(words: dict[Any, pd.Series], label: Any) -> bool:
    """Whether the first line has one of the labels, and no name of a text or of a label beside it.

    words: column, by its cell in the first line -> its other cells
    """
    known = LABEL_NAMES.union(TEXT_NAMES)
    others = (name for name in words if name != label)
    if any(_fold(name) in known and name not in set(words[name]) for name in others):
        return False
    return str(label).strip() in set(words[label])


def _find_text(length: dict[Any, float], taken: set[Any]) -> Any:
    """The column with the name of a text, else the longest that has not the name of a label."""
    free = [name for name in length if name not in taken]
    named = [name for name in free if _fold(name) in TEXT_NAMES]
    others = [name for name in free if _fold(name) not in LABEL_NAMES]
    return max(named or others or free, key=lambda name: length[name], default=None)


def _fold(name: object) -> str:
    return str(name).strip().lower()
