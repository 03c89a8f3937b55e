"""Reads text files into tables that remember the line of each row."""

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cascadebert.core.errors import UserError

FORMATS = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".jsonl": "jsonl"}


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as they were read.

    origin: name of the file or data set in messages
    phrase: name of the file or data set in task.json
    unit:   "line" or "row": the index of `cells` counts these, from 1
    cells:  strings, and other values of JSON files and of data sets on the hub; a missing cell is
            null
    broken: the number of rows that were left out for a wrong number of fields
    """

    origin: str
    phrase: str
    unit: str
    cells: pd.DataFrame
    broken: int = 0

    def error(self, place: object, reason: str) -> UserError:
        """Returns an error that names the row at `place` of the index."""
        return UserError(f"{self.origin}, {self.unit} {place}: {reason}")

    def has(self, key: str | int) -> bool:
        names = self.cells.columns
        return 0 <= key < len(names) if isinstance(key, int) else key in names

    def column(self, key: str | int, role: str) -> pd.Series:
        """Returns the column with this name, or at this place counted from 0."""
        if self.has(key):
            return self.cells.iloc[:, key] if isinstance(key, int) else self.cells[key]
        there = ", ".join(map(str, self.cells.columns)) or "none"
        raise UserError(
            f"{self.origin}: no column {key!r} for the {role}; name one of its columns in the "
            f"task's `columns`: {there}"
        )


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); correct the path in the task's `source`"
        ) from error


def parse(
    data: bytes, origin: str, phrase: str, form: dict[str, Any], incomplete: int = 0
) -> Table:
    """Returns the table in the bytes of a CSV, TSV or JSONL file.

    form: the task's `format`: type (default: by the suffix of `origin`), encoding, header, quotes
    incomplete: at most how many rows with a wrong number of fields are left out; more are an error
    """
    kind = form.get("type") or FORMATS.get(Path(origin).suffix.lower())
    if kind is None:
        raise UserError(f"{origin}: set the task's format.type to csv, tsv or jsonl")
    text = _decode(data, origin, form.get("encoding", "utf-8")).rstrip("\r\n")
    if not text:
        raise UserError(f"{origin} is empty; correct the path in the task's `source`")
    if kind == "jsonl":
        rows = _json_rows(text, origin)
        cells = pd.DataFrame(list(rows.values()), index=list(rows), dtype=object)
        return Table(origin, phrase, "line", cells)
    delimiter = "," if kind == "csv" else "\t"
    if form.get("quotes", kind == "csv"):
        rows = _quoted_rows(text, origin, delimiter)
    else:
        # str.splitlines would also break lines at characters that texts contain, such as U+0085.
        lines = enumerate(text.split("\n"), 1)
        rows = {place: line.removesuffix("\r").split(delimiter) for place, line in lines}
    if form.get("header", True):
        header = rows.pop(1)
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise UserError(f"{origin}: its header names column {twice[0]!r} twice; rename one")
    else:
        header = range(len(rows[1]))
    wrong = {place: len(row) for place, row in rows.items() if len(row) != len(header)}
    if len(wrong) > incomplete:
        place, found = next(iter(wrong.items()))
        raise UserError(
            f"{origin}, line {place}: {found} fields, where there should be {len(header)}; correct "
            f"the line, or the task's `format` (type, header, quotes) if it does not fit the file"
        )
    for place in wrong:
        del rows[place]
    cells = pd.DataFrame(list(rows.values()), list(rows), list(header), dtype=object)
    return Table(origin, phrase, "line", cells, broken=len(wrong))


def _decode(data: bytes, origin: str, encoding: str) -> str:
    try:
        # utf-8-sig drops a byte-order mark, which is not text.
        return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except LookupError:
        raise UserError(f"{origin}: format.encoding {encoding!r} is no encoding") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{origin}, line {line}: not {encoding} text; set the task's format.encoding to the "
            "encoding of the file (such as latin-1)"
        ) from error


def _quoted_rows(text: str, origin: str, delimiter: str) -> dict[int, list[str]]:
    """Returns first line of a record -> fields. A quoted field may span several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, start = {}, 1
    try:
        for row in reader:
            rows[start] = row
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{origin}, line {start}: {error}; correct the quotes, or set format.quotes to false "
            "if they are ordinary characters in this file"
        ) from error
    return rows


def _json_rows(text: str, origin: str) -> dict[int, dict[str, Any]]:
    rows = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows[number] = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{origin}, line {number}: no JSON ({error}); correct it") from error
        if not isinstance(rows[number], dict):
            raise UserError(f"{origin}, line {number}: no JSON object; one object a line is needed")
    return rows
