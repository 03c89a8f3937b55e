"""Reads the rows of a file of any size, one after another, and tells which cannot be read."""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, BinaryIO

from cascadebert.core.errors import UserError
from cascadebert.core.text import join_words, show
from cascadebert.data.labels import as_word
from cascadebert.data.tables import MARKS, PACKED, UNWRITABLE, is_encoding, make_object

LONGEST = 2**24  # characters of a field or a line; a file without line breaks is no table
TEXT_NAMES = ("text", "sentence", "review", "body", "content", "message", "comment", "description")


Columns = tuple[str | int | None, ...]  # names, or places from 0


@dataclass(frozen=True)
class Row:
    """A row of a file.

    line:    where it begins, from 1
    last:    the line where it ends
    values:  its text, and the text's pair, without outer spaces, as training reads them; empty if
             it cannot be read
    problem: why it cannot be read, or None
    """

    line: int
    last: int
    values: tuple[str, ...]
    problem: str | None = None


class RowReader:
    """Reads the rows of a CSV, TSV or JSONL file."""

    def __init__(
        self, binary: BinaryIO, name: str, kind: str, encoding: str | None, usual: str = "utf-8"
    ):
        """
        name:     of the file, in messages
        kind:     csv, tsv or jsonl
        encoding: that the user names, or None
        usual:    the encoding if none is named and the file has no byte-order mark

        Raises UserError if there is no such encoding, or if the file is a known kind of archive.
        """
        self.name, self.kind = name, kind
        self.stream = _decode(binary, name, encoding, usual)
        self.encoding = self.stream.encoding.removesuffix("-sig")  # a mark may say another one
        self.is_guess = encoding is None

    def read(
        self, columns: Columns, header: bool, quotes: bool, *, label: bool = False
    ) -> Iterator[Row]:
        """Yields the rows in their order.

        columns: names of the columns of the text and of its pair, or their places from 0
        header:  whether the first line of a CSV or TSV file names the columns
        quotes:  whether quotes enclose fields of a CSV or TSV file, or are ordinary characters
        label:   whether the last column has labels, which JSON may have as other than strings

        Raises UserError if the file has no such columns, is no text, or is damaged beyond a row.
        """
        if self.kind == "jsonl":
            yield from self._read_objects(columns, label)
        else:
            yield from self._read_fields(columns, header, quotes)

    # --- CSV and TSV ---

    def _read_fields(self, columns: Columns, header: bool, quotes: bool) -> Iterator[Row]:
        records = self._records(quotes)
        first = next(records, None)
        if first is None or not (any(first[2]) if header else first[2]):
            if any(fields for *_, fields in records):
                raise UserError(f"{self.name}, line 1: the line is empty; delete it")
            raise UserError(f"{self.name} is empty; give a file with a header and rows")
        names = first[2]
        if isinstance(names, str):
            raise UserError(f"{self.name}, line 1: {names}")
        places = _find_places(self.name, names, columns, header)
        width = len(names)
        blank: list[Row] = []  # at the end of a file, blank lines are no rows
        for line, last, fields in records if header else chain([first], records):
            if isinstance(fields, str):
                row = Row(line, last, (), fields)
            elif not fields and width > 1:
                blank.append(Row(line, last, (), "the line is empty"))
                continue
            elif not fields:
                blank.append(Row(line, last, ("",) * len(places)))
                continue
            elif len(fields) != width:
                row = Row(line, last, (), f"{len(fields)} fields, where there should be {width}")
            else:
                row = self._check(line, last, tuple(fields[place] for place in places))
            yield from blank
            blank.clear()
            yield row

    def _records(self, quotes: bool) -> Iterator[tuple[int, int, Any]]:
        """First line, last line, and fields; a string says what is wrong with a record."""
        csv.field_size_limit(LONGEST)
        quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        delimiter = "," if self.kind == "csv" else "\t"
        reader = csv.reader(self._lines(), delimiter=delimiter, quoting=quoting, strict=True)
        while True:
            start = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                if "unexpected end" in str(error) or "field limit" in str(error):
                    raise UserError(
                        f"{self.name}, line {start}: a quote opens a field that does not end; "
                        "correct the quotes, or say --quotes no if they are ordinary characters"
                    ) from error
                fields = f"wrong quotes ({error})"
            if fields is None:
                return
            yield start, reader.line_num, fields

    def _lines(self) -> Iterator[str]:
        for number in count(1):
            try:
                line = self.stream.readline(LONGEST + 1)
            except UnicodeError as error:
                said = getattr(error, "reason", error)
                raise UserError(
                    f"{self.name}, line {number}: no {self.encoding} text ({said}); is "
                    "--encoding right?"
                ) from error
            if len(line) > LONGEST:
                raise UserError(
                    f"{self.name}, line {number}: longer than {LONGEST:,} characters; this is no "
                    "table of texts"
                )
            if not line:
                return
            yield line

    # --- JSONL ---

    def _read_objects(self, columns: Columns, label: bool) -> Iterator[Row]:
        names: tuple[str, ...] = ()
        for number, line in enumerate(self._lines(), 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line, object_pairs_hook=make_object)
                if not isinstance(found, dict):
                    raise ValueError("no object")
            except (ValueError, RecursionError) as error:
                yield Row(number, number, (), f"no JSON object ({error})")
                continue
            if not names:
                listed = list(found)
                places = _find_places(self.name, listed, columns, True)
                names = tuple(listed[place] for place in places)
            values = tuple(found.get(name) for name in names)
            if label:
                values = (*values[:-1], as_word(values[-1]))
            wrong = [n for n, v in zip(names, values, strict=True) if not isinstance(v, str)]
            if wrong:
                yield Row(number, number, (), f"its {wrong[0]} is no string")
            elif any(map(UNWRITABLE.search, map(str, values))) and not UNWRITABLE.search(line):
                said = "an escape that stands for no character (NUL, or half of a surrogate pair)"
                yield Row(number, number, (), said)
            else:
                yield self._check(number, number, values)
        if not names:
            raise UserError(f"{self.name} has no row; give one JSON object a line")

    def _check(self, line: int, last: int, values: tuple[Any, ...]) -> Row:
        for value in values:
            if found := UNWRITABLE.search(value):
                wrong = f"bytes that are no {self.encoding}"
                what = "a NUL character" if found[0] == "\0" else wrong
                return Row(line, last, (), f"{what}; is --encoding right?")
            if self.is_guess and self._garbles(value):
                wrong = f"looks like utf-8, which {self.encoding} would garble; give --encoding"
                return Row(line, last, (), wrong)
        return Row(line, last, tuple(value.strip() for value in values))

    def _garbles(self, value: str) -> bool:
        """Whether the bytes of a text, each of which is read as a character, are utf-8."""
        if value.isascii():
            return False
        try:
            found = value.encode(self.stream.encoding)
            return len(found) == len(value) and bool(found.decode())
        except UnicodeError:
            return False


def _decode(binary: BinaryIO, name: str, encoding: str | None, usual: str) -> io.TextIOWrapper:
    """A stream of text. Bytes that are none become halves of surrogate pairs, where they can."""
    buffered = binary if hasattr(binary, "peek") else io.BufferedReader(binary)  # type: ignore
    start = buffered.peek(4)[:4]  # type: ignore
    for mark, kind in PACKED.items():
        if start.startswith(mark[:4]):
            raise UserError(f"{name} is {kind}, no text; unpack it, or save it as CSV")
    marked = next((found for mark, found in MARKS.items() if start.startswith(mark)), None)
    chosen = encoding or marked or usual
    if not is_encoding(chosen):
        raise UserError(f"--encoding {chosen!r} is no encoding; give one such as utf-8 or latin-1")
    if marked == "utf-8" and codecs.lookup(chosen).name == "utf-8":
        chosen = "utf-8-sig"
    is_wide = chosen.replace("_", "-").startswith(("utf-16", "utf-32"))
    errors = "strict" if is_wide else "surrogateescape"
    try:
        return io.TextIOWrapper(buffered, encoding=chosen, errors=errors, newline="")  # type: ignore
    except LookupError:  # such as base64, which is no encoding of text
        raise UserError(f"--encoding {chosen!r} is no encoding of text") from None


def _find_places(name: str, names: list[str], columns: Columns, header: bool) -> list[int]:
    """Where the columns are. The first may be None: it is then found by its name."""
    if not header:
        places = []
        for column in columns:
            number = "0" if column is None and len(names) == 1 else str(column)
            if not number.isdecimal() or int(number) >= len(names):
                raise UserError(
                    f"{name}: without a header, each column is a number from 0 to "
                    f"{len(names) - 1}; give that of the texts with --text"
                )
            places.append(int(number))
        return places
    there = ", ".join(map(show, names)) or "none"
    places = []
    for column in columns:
        # In `text, label`, training calls the second column ` label`; a user says --label label.
        wanted = column.strip() if isinstance(column, str) else column
        found = [i for i, each in enumerate(names) if wanted in (i, each.strip())]
        if column is None:
            found = [i for i, each in enumerate(names) if each.strip().lower() in TEXT_NAMES]
            if len(found) != 1:
                many = join_words([show(names[i]) for i in found]) if found else "none"
                raise UserError(
                    f"{name}: which column has the texts? Name it with --text, or say --no-header; "
                    f"its columns are: {there:.300} ({many} could be)"
                )
        if len(found) != 1:
            what = "no column" if not found else "more than one column"
            hint = (
                "; is it separated by something else than its name says (--format), or has it no "
                "header (--no-header)?"
                if len(names) == 1
                else ""
            )
            raise UserError(f"{name}: {what} {column!r}; its columns are: {there:.300}{hint}")
        places.append(found[0])
    return places
