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
from typing import TYPE_CHECKING, Any

from cascadebert.core.errors import UserError
from cascadebert.core.text import show

if TYPE_CHECKING:  # `predict` reads tables where there is no pandas
    import pandas as pd

FORMATS = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".jsonl": "jsonl"}
# Byte-order mark -> encoding. That of UTF-32 begins with that of UTF-16, and so comes first.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
# First bytes of files that people take for text -> what these files are.
PACKED = {
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"PK\x03\x04": "a ZIP archive, such as an Excel workbook",
    b"PAR1": "a Parquet file",
}
QUOTED = re.compile(r'"(?:[^"]|"")*"')
UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of surrogate pairs


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as they were read.

    origin: name of the file or data set in messages
    phrase: name of the file or data set in task.json
    unit:   "line" or "row": the index of `cells` counts these, from 1
    cells:  strings, and other values of JSON files and of data sets on the hub; a missing cell is
            null
    broken: the number of rows that were left out for a wrong number of fields
    header: whether the file's first line names the columns
    header_said: whether the file's `format` says so, or that it does not
    quoted: the delimiter of a file whose quotes enclose fields, though its `format` does not say so
    """

    origin: str
    phrase: str
    unit: str
    cells: "pd.DataFrame"
    broken: int = 0
    header: bool = False
    header_said: bool = False
    quoted: str | None = None

    def error(self, place: object, reason: str) -> UserError:
        """Returns an error that names the row at `place` of the index."""
        return UserError(f"{self.origin}, {self.unit} {place}: {reason}")

    def has(self, key: str | int) -> bool:
        names = self.cells.columns
        return 0 <= key < len(names) if isinstance(key, int) else key in names

    def column(self, key: str | int, role: str) -> "pd.Series":
        """Returns the column with this name, or at this place counted from 0."""
        if self.has(key):
            return self.cells.iloc[:, key] if isinstance(key, int) else self.cells[key]
        there = ", ".join(map(show, self.cells.columns)) or "none"
        hint = " (if these are no names, set format.header to false)" if self.header else ""
        raise UserError(
            f"{self.origin}: no column {key!r} for the {role}; name one of its columns in the "
            f"task's `columns`: {there:.500}{hint}"
        )


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError is that of a NUL in a path
        said = getattr(error, "strerror", error)
        raise UserError(
            f"{path}: cannot be read ({said}); correct the path in the task's `source`"
        ) from error


def find_kind(path: str, form: dict[str, Any]) -> str | None:
    """Returns csv, tsv or jsonl; None if neither the format nor the suffix says which it is."""
    return form.get("type") or FORMATS.get(Path(path).suffix.lower())


def complete_format(path: str, form: dict[str, Any]) -> dict[str, Any]:
    """Returns a task's `format` with its defaults for this file; JSONL has no header, no quotes."""
    kind = find_kind(path, form)
    of_fields = {} if kind == "jsonl" else {"header": True, "quotes": kind == "csv"}
    return {"encoding": "utf-8", **of_fields, **form, "type": kind}


def is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):  # ValueError is that of a NUL
        return False
    return True


def parse(
    data: bytes, origin: str, phrase: str, form: dict[str, Any], incomplete: int = 0
) -> Table:
    """Returns the table in the bytes of a CSV, TSV or JSONL file.

    form: the task's `format`: type (default: by the suffix of `origin`), encoding, header, quotes
    incomplete: at most how many rows with a wrong number of fields are left out; more are an error
    """
    import pandas as pd

    whole = complete_format(origin, form)
    text = _decode(data, origin, whole["encoding"]).rstrip("\r\n")
    kind = whole["type"]
    if kind is None:
        raise UserError(f"{origin}: set the task's format.type to csv, tsv or jsonl")
    if not text.strip():
        raise UserError(f"{origin} is empty; correct the path in the task's `source`")
    # str.splitlines would also break lines at characters that texts contain, such as U+0085.
    lines = text.split("\n" if "\n" in text else "\r")  # old Macs end a line with "\r" alone
    if kind == "jsonl":
        rows = _json_rows(lines, origin)
        cells = pd.DataFrame(list(rows.values()), index=list(rows), dtype=object)
        return Table(origin, phrase, "line", cells)
    delimiter = "," if kind == "csv" else "\t"
    quotes = whole["quotes"]
    if quotes:
        rows = _quoted_rows(text, origin, delimiter)
    else:
        numbered = enumerate(lines, 1)
        rows = {place: line.removesuffix("\r").split(delimiter) for place, line in numbered}
        if "quotes" not in form:
            _check_quotes(rows, origin)
    if not any(rows[1]):
        raise UserError(f"{origin}, line 1: the line is empty; delete it")
    named = whole["header"]
    header = rows.pop(1) if named else range(len(rows[1]))
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise UserError(f"{origin}: its header names column {twice[0]!r} twice; rename one")
    wrong = [place for place, row in rows.items() if len(row) != len(header)]
    if len(wrong) > incomplete:
        place, row = wrong[0], rows[wrong[0]]
        raise UserError(
            f"{origin}, line {place}: {len(row)} fields, where there should be {len(header)}; "
            "correct the line, or the task's `format` (type, header, quotes) if it does not fit "
            "the file"
            if any(row)
            else f"{origin}, line {place}: the line is empty; delete it"
        )
    for place in wrong:
        del rows[place]
    cells = pd.DataFrame(list(rows.values()), list(rows), list(header), dtype=object)
    doubtful = delimiter if quotes and "quotes" not in form else None
    return Table(
        origin,
        phrase,
        "line",
        cells,
        broken=len(wrong),
        header=named,
        header_said="header" in form,
        quoted=doubtful,
    )


def _decode(data: bytes, origin: str, encoding: str) -> str:
    if not is_encoding(encoding):
        raise UserError(f"{origin}: format.encoding {encoding!r} is no encoding")
    name = codecs.lookup(encoding).name
    marked = next((found for mark, found in MARKS.items() if data.startswith(mark)), name)
    if not name.startswith(marked):
        raise UserError(
            f"{origin} begins with the byte-order mark of {marked}; set the task's "
            f"format.encoding to {marked}"
        )
    try:
        text = data.decode(name).removeprefix("\ufeff")  # the mark is not text
    except LookupError:
        raise UserError(f"{origin}: format.encoding {encoding!r} is no encoding of text") from None
    except UnicodeError as error:
        _refuse_packed(data, origin)
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise UserError(
            f"{origin}, line {line}: not {encoding} text; set the task's format.encoding to the "
            "encoding of the file (such as latin-1)"
        ) from error
    if found := UNWRITABLE.search(text):
        _refuse_packed(data, origin)
        what = "a NUL character" if found[0] == "\0" else "half of a surrogate pair"
        raise UserError(
            f"{origin}, line {text.count(chr(10), 0, found.start()) + 1}: {what}, which no text "
            "has; set the task's format.encoding to the encoding of the file (such as utf-16), or "
            "delete the character"
        )
    # In an encoding of one byte a character, any bytes are text.
    if len(text) == len(data) and not data.isascii() and _is_utf8(data):
        raise UserError(
            f"{origin} is utf-8 text, which {encoding} would garble; set the task's "
            "format.encoding to utf-8"
        )
    return text


def _refuse_packed(data: bytes, origin: str) -> None:
    """Raises UserError if bytes that are no text are a file of a known kind."""
    for start, kind in PACKED.items():
        if data.startswith(start):
            raise UserError(
                f"{origin} is {kind}, no text; unpack it, or save it as CSV, and give that file in "
                "the task's `source`"
            )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_quotes(rows: dict[int, list[str]], origin: str) -> None:
    """Raises UserError if quotes enclose fields, as pandas writes them, but are read as text."""
    for place, row in rows.items():
        is_header = place == 1 and all(map(QUOTED.fullmatch, row))
        if is_header or any('""' in cell[1:-1] and QUOTED.fullmatch(cell) for cell in row):
            raise UserError(
                f"{origin}, line {place}: quotes seem to enclose a field; set the task's "
                "format.quotes to true if they do, and to false if they are ordinary characters"
            )
    # A single field may be a quotation; a column of quotations is rare.
    columns = zip(*list(rows.values())[1:], strict=False)
    if len(rows) > 2 and any(all(map(QUOTED.fullmatch, column)) for column in columns):
        raise UserError(
            f"{origin}, line 2: quotes seem to enclose a field, here and in each line after it; "
            "set the task's format.quotes to true if they do, and to false if they are ordinary "
            "characters"
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


def _json_rows(lines: list[str], origin: str) -> dict[int, dict[str, Any]]:
    rows = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows[number] = json.loads(line, object_pairs_hook=make_object)
        except RecursionError as error:
            raise UserError(f"{origin}, line {number}: nested too deeply; flatten it") from error
        except ValueError as error:  # also of numbers with thousands of digits
            raise UserError(
                f"{origin}, line {number}: no JSON ({error}); correct it. One whole object a line "
                "is needed"
            ) from error
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


def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object of these keys and values. Raises ValueError if a key comes twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return made
