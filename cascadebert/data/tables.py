"""Reads text files into tables that remember the line of each row."""

import codecs
import csv
import io
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cascadebert.core.errors import UserError

FORMATS = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".jsonl": "jsonl"}
# Byte-order mark -> encoding. That of UTF-32 begins with that of UTF-16, and so comes first.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
QUOTED = re.compile(r'"(?:[^"]|"")*"')


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
        hint = " (if these are no names, set format.header to false)" if self.unit == "line" else ""
        raise UserError(
            f"{self.origin}: no column {key!r} for the {role}; name one of its columns in the "
            f"task's `columns`: {there}{hint}"
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
    quotes = form.get("quotes", kind == "csv")
    if quotes:
        rows = _quoted_rows(text, origin, delimiter)
    else:
        # str.splitlines would also break lines at characters that texts contain, such as U+0085.
        lines = enumerate(text.split("\n"), 1)
        rows = {place: line.removesuffix("\r").split(delimiter) for place, line in lines}
        if "quotes" not in form:
            _check_quotes(rows, origin)
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
        name = codecs.lookup(encoding).name
        marked = next((found for mark, found in MARKS.items() if data.startswith(mark)), name)
        if not name.startswith(marked):
            raise UserError(
                f"{origin} begins with the byte-order mark of {marked}; set the task's "
                f"format.encoding to {marked}"
            )
        text = data.decode(name).removeprefix("\ufeff")  # the mark is not text
    except LookupError:
        raise UserError(f"{origin}: format.encoding {encoding!r} is no encoding") from None
    except UnicodeError as error:
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise UserError(
            f"{origin}, line {line}: not {encoding} text; set the task's format.encoding to the "
            "encoding of the file (such as latin-1)"
        ) from error
    if (place := text.find("\0")) >= 0:
        raise UserError(
            f"{origin}, line {text.count(chr(10), 0, place) + 1}: a NUL character, which no text "
            "has; set the task's format.encoding to the encoding of the file (such as utf-16), or "
            "delete the character"
        )
    return text


def _check_quotes(rows: dict[int, list[str]], origin: str) -> None:
    """Raises UserError if quotes enclose fields, as pandas writes them, but are read as text."""
    for place, row in rows.items():
        is_header = place == 1 and all(map(QUOTED.fullmatch, row))
        if is_header or any('""' in cell[1:-1] and QUOTED.fullmatch(cell) for cell in row):
            raise UserError(
                f"{origin}, line {place}: quotes seem to enclose a field; set the task's "
                "format.quotes to true if they do, and to false if they are ordinary characters"
            )


def _quoted_rows(text: str, origin: str, delimiter: str) -> dict[int, list[str]]:
    """Returns first line of a record -> fields. A quoted field may span several lines."""
    csv.field_size_limit(sys.maxsize)  # the csv module's own limit is 131,072 characters
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
            rows[number] = json.loads(line, object_pairs_hook=_make_object)
        except RecursionError as error:
            raise UserError(f"{origin}, line {number}: nested too deeply; flatten it") from error
        except ValueError as error:  # also of numbers with thousands of digits
            raise UserError(f"{origin}, line {number}: no JSON ({error}); correct it") from error
        try:
            json.dumps(rows[number], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UserError(
                f"{origin}, line {number}: half of a surrogate pair (an escape from \\ud800 to "
                "\\udfff); write both halves, or the character itself"
            ) from None
        if not isinstance(rows[number], dict):
            raise UserError(f"{origin}, line {number}: no JSON object; one object a line is needed")
    return rows


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object of these keys and values. Raises ValueError if a key comes twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"key {twice!r} twice")
    return made
