"""`cascadebert predict`: rows in, answers out, with memory for a thousand rows at a time."""

import argparse
import csv
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from tqdm import tqdm

from cascadebert.commands.model import load_model
from cascadebert.commands.rows import Row, RowReader
from cascadebert.core.errors import UserError
from cascadebert.core.files import replacing
from cascadebert.data.tables import complete_format, find_kind
from cascadebert.deployment.answers import Answers
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.folder import Description

ROWS, CHARACTERS = 1024, 2**20  # of rows that are answered together
STREAM = "-"
OTHER_FORMATS = {".json", ".xlsx", ".xls", ".ods", ".parquet", ".gz", ".bz2", ".xz", ".zst", ".zip"}


@dataclass
class Count:
    """What was done, for the last line."""

    exits: np.ndarray
    layers: int = 0
    cut: int = 0
    skipped: int = 0
    several: int = 0  # rows that span several lines
    longest: Row | None = None  # of these


@dataclass(frozen=True)
class Form:
    """How a table is written; columns, header and quotes are those of `RowReader.read`.

    encoding: without a byte-order mark
    """

    columns: tuple[str | int | None, ...]
    header: bool
    quotes: bool
    encoding: str


def predict(parsed: argparse.Namespace) -> None:
    """Answers all rows, then says how many."""
    if parsed.batch_size < 1:
        raise UserError(f"--batch-size is {parsed.batch_size}; give a number from 1 on")
    _refuse_same_file(parsed.input, parsed.output)
    _refuse_other_formats(parsed.output)
    kind = guess_format(parsed)
    with open_input(parsed.input) as (binary, size):
        name = "standard input" if parsed.input == STREAM else parsed.input
        cascade, described = load_model(parsed)
        form = choose_form(parsed, kind, described)
        reader = RowReader(binary, name, kind, parsed.encoding, form.encoding)
        rows = reader.read(form.columns, form.header, form.quotes)
        count = Count(np.zeros(len(cascade.members), dtype=np.int64))
        began = time.perf_counter()
        with (
            _open_output(parsed.output) as out,
            # The bar is drawn where somebody looks.
            tqdm(total=size, unit="B", unit_scale=True, disable=None, leave=False) as bar,
        ):
            write = _choose_writer(parsed.output, out, cascade.classes)
            for chunk in _make_chunks(rows, name, parsed.bad_rows, count):
                answers = _answer(cascade, chunk, parsed.batch_size)
                count.exits += np.bincount(answers.exits, minlength=len(count.exits))
                count.layers += int(answers.layers.sum())
                count.cut += int(answers.truncated.sum())
                write(chunk, answers)
                out.flush()
                if size:
                    bar.update(binary.tell() - bar.n)
    _tell(count, cascade, time.perf_counter() - began)


def guess_format(parsed: argparse.Namespace) -> str:
    """Returns csv, tsv or jsonl, by --format or the name of the input."""
    kind = find_kind(parsed.input, {"type": parsed.format})
    if kind is None and parsed.input != STREAM:
        raise UserError(f"{parsed.input}: is it csv, tsv or jsonl? Say so with --format")
    return kind or "csv"


def choose_form(parsed: argparse.Namespace, kind: str, described: Description) -> Form:
    """How a table is written: as the options say, else as the one that trained the cascade.

    That table says nothing of a table of another kind but the names of columns.
    """
    about = described.about
    known = about.get("format", {})
    is_same = known.get("type") == kind
    form = complete_format(parsed.input, known if is_same else {"type": kind})
    given = (parsed.text, parsed.pair, getattr(parsed, "label", None))
    is_named = any(column and not column.isdecimal() for column in given)
    header = not parsed.no_header and (form.get("header", True) or is_named)
    # A place is that of a table of the same kind, and a name needs a header.
    usual = {
        role: column
        for role, column in about.get("columns", {}).items()
        if (is_same if isinstance(column, int) else header)
    }
    first = parsed.text or usual.get("text")
    second = parsed.pair or (None if parsed.text else usual.get("text_pair"))
    return Form(
        columns=(first,) if second is None else (first, second),
        header=header,
        quotes=parsed.quotes == "yes" if parsed.quotes else form.get("quotes", False),
        encoding=form["encoding"],
    )


def _refuse_same_file(source: str, target: str) -> None:
    if STREAM in (source, target) or not (os.path.exists(source) and os.path.exists(target)):
        return
    if os.path.samefile(source, target):
        raise UserError(f"{target} is the input, too; name another file for the answers")


def _refuse_other_formats(target: str) -> None:
    """Raises UserError for a name such as answers.xlsx: its answers would be CSV all the same."""
    suffix = Path(target).suffix.lower()
    if suffix in OTHER_FORMATS:
        raise UserError(f"{target}: answers are CSV, TSV or JSONL, and not {suffix}; name it so")


@contextmanager
def open_input(path: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The bytes, and how many there are, if this is known."""
    if path == STREAM:
        yield sys.stdin.buffer, None
        return
    with ExitStack() as opened:
        try:
            binary = opened.enter_context(Path(path).open("rb"))
        except (OSError, ValueError) as error:  # ValueError is that of a NUL in a path
            said = getattr(error, "strerror", error)
            raise UserError(f"{path}: cannot be read ({said})") from None
        about = os.fstat(binary.fileno())
        yield binary, about.st_size if stat.S_ISREG(about.st_mode) else None


@contextmanager
def _open_output(path: str) -> Iterator[TextIO]:
    """A stream to write to. A file gets its name at the end, so that what exists is whole."""
    if path in (STREAM, "/dev/stdout"):  # a file that it leads to is the shell's to open
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore
        yield sys.stdout
        return
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder; name a file")
    if Path(path).exists() and not Path(path).is_file():  # such as a named pipe
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    place = Path(path).resolve()  # a link stays, and leads to the new file
    with replacing(place) as draft, draft.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _make_chunks(
    rows: Iterator[Row], name: str, bad_rows: str, count: Count
) -> Iterator[list[Row]]:
    chunk, characters = [], 0
    for row in rows:
        if row.problem:
            if bad_rows == "stop":
                raise UserError(
                    f"{name}, line {row.line}: {row.problem}; correct it, or leave out such rows "
                    "with --bad-rows skip"
                )
            count.skipped += 1
            tqdm.write(f"{name}, line {row.line}: skipped, {row.problem}", file=sys.stderr)
            continue
        if row.last > row.line:
            count.several += 1
            rivals = (count.longest or row, row)
            count.longest = max(rivals, key=lambda each: each.last - each.line)
        chunk.append(row)
        characters += sum(map(len, row.values))
        if len(chunk) >= ROWS or characters >= CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _answer(cascade: Cascade, chunk: list[Row], batch_size: int) -> Answers:
    texts = [row.values[0] for row in chunk]
    pairs = [row.values[1] for row in chunk] if len(chunk[0].values) > 1 else None
    return cascade(texts, pairs, batch_size)


def _choose_writer(
    path: str, out: TextIO, classes: list[str]
) -> Callable[[list[Row], Answers], None]:
    kind = find_kind(path, {})
    if kind == "jsonl":

        def write_objects(chunk: list[Row], answers: Answers) -> None:
            for row, record in zip(chunk, answers, strict=True):
                found = {"line": row.line, "label": record["label"]}
                found |= {"probabilities": record["probabilities"], "member": record["exit"] + 1}
                found |= {"layers": record["layers"], "cut": record["truncated"]}
                out.write(json.dumps(found, ensure_ascii=False) + "\n")

        return write_objects
    table = csv.writer(out, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n")
    probabilities = [f"probability_{label}" for label in classes]
    table.writerow(["line", "label", *probabilities, "member", "layers", "cut"])

    def write_rows(chunk: list[Row], answers: Answers) -> None:
        for row, record in zip(chunk, answers, strict=True):
            numbers = [f"{value:.6f}" for value in record["probabilities"].values()]
            member, cut = record["exit"] + 1, str(record["truncated"]).lower()
            table.writerow([row.line, record["label"], *numbers, member, record["layers"], cut])

    return write_rows


def _tell(count: Count, cascade: Cascade, seconds: float) -> None:
    total = int(count.exits.sum())
    parts = [f"{found:,} by member {number}" for number, found in enumerate(count.exits, 1)]
    said = f"{total:,} texts answered in {seconds:.1f} s: {', '.join(parts)}"
    if total:
        alone = cascade.members[-1].config.num_hidden_layers
        said += f"; {alone * total / count.layers:.2f} times fewer layers than the last alone"
    if count.cut:
        said += f"; {count.cut:,} cut at {cascade.max_length} tokens"
    if count.skipped:
        said += f"; {count.skipped:,} rows skipped"
    if row := count.longest:
        said += (
            f"; {count.several:,} rows span several lines, the longest lines {row.line} to "
            f"{row.last}: if these are several rows, correct the quotes"
        )
    print(said, file=sys.stderr)
