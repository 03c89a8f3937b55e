"""Raw text in, sentences out: the text that encoders are pre-trained on."""

import bz2
import gzip
import json
import lzma
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.data.hub import load_dataset

_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}

# The end of a sentence: a full stop, question or exclamation mark, a closing quote or bracket
# perhaps (left off, since its partner may lie sentences before), white space, and something that
# may begin the next sentence.
_SENTENCE_END = re.compile(r"(?<=[.!?])(?:[\"')\]]*)\s+(?=[\"'(\[]?[A-Z0-9])")
_MARKUP = re.compile(r"<[^<>]{1,100}>")
_SPACE = re.compile(r"\s+")


def _opened(path: Path):
    """A text stream of `path`, decompressed by its suffix. Raises UserError for a missing file."""
    if not path.is_file():
        raise UserError(f"corpus file {path} does not exist; correct pretraining.corpora")
    if path.suffix == ".zst":
        try:
            import zstandard
        except ImportError as error:
            raise UserError(
                f"{path} needs the package zstandard: pip install zstandard, or recompress it as xz"
            ) from error
        return zstandard.open(path, "rt", encoding="utf-8")
    return _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8")


def read_documents(path: File, field: str = "text") -> Iterator[str]:
    """The documents of a text file (one a line) or a JSON-lines file (`field` of each object).

    Both may be compressed (.gz, .xz, .bz2, .zst). Raises UserError, naming the file and the line,
    for what is not text, not JSON or lacks the field.
    """
    path = Path(path)
    lines_are_json = {".jsonl", ".ndjson", ".json"} & set(path.suffixes)
    number = 0
    try:
        with _opened(path) as stream:
            for number, line in enumerate(stream, start=1):
                if "\x00" in line:
                    raise UserError(f"{path}, line {number}: zero bytes; this is not text")
                if not line.strip():
                    continue
                if not lines_are_json:
                    yield line
                    continue
                try:
                    text = json.loads(line)[field]
                except (ValueError, TypeError, KeyError) as error:
                    raise UserError(
                        f"{path}, line {number}: no JSON object with the field {field!r} "
                        f"({type(error).__name__}: {error})"
                    ) from error
                if not isinstance(text, str):
                    raise UserError(f"{path}, line {number}: {field!r} is not a string")
                yield text
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, after line {number}: not UTF-8 text ({error})") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UserError(f"{path}, after line {number}: cannot be read ({error})") from error


def hub_documents(name: str, subset: str | None, split: str, field: str) -> Iterator[str]:
    """The documents of a data set on the hub (or a local folder that `datasets` can load)."""
    rows = load_dataset(name, subset, split=split)
    if field not in rows.column_names:
        raise UserError(f"data set {name} has no column {field!r}; it has {rows.column_names}")
    return iter(rows[field])


def sentences(documents: Iterable[str], shortest: int = 12, longest: int = 400) -> Iterator[str]:
    """Splits documents into sentences of `shortest` to `longest` characters.

    Longer ones are left out: they are lists, tables and missing full stops more often than prose.
    """
    for document in documents:
        for paragraph in _MARKUP.sub(" ", document).splitlines():
            for sentence in _SENTENCE_END.split(paragraph):
                sentence = _SPACE.sub(" ", sentence).strip()
                if shortest <= len(sentence) <= longest:
                    yield sentence


def sample_corpora(
    corpora: list[dict[str, Any]], seed: int, shortest: int = 12, longest: int = 400
) -> list[str]:
    """Distinct sentences of all corpora in random order, at most `sentences` of each corpus.

    corpora: mappings with `file` (and `field`) or `hub` (and `subset`, `split`, `field`), and
    perhaps `sentences`. Raises UserError if a corpus holds no sentence.
    """
    chosen = []
    seen = set()
    for corpus in corpora:
        field = corpus.get("field", "text")
        if "hub" in corpus:
            name = corpus["hub"]
            documents = hub_documents(
                name, corpus.get("subset"), corpus.get("split", "train"), field
            )
        else:
            name = corpus["file"]
            documents = read_documents(name, field)
        found = []
        for sentence in sentences(documents, shortest, longest):
            if sentence not in seen:
                seen.add(sentence)
                found.append(sentence)
        if not found:
            raise UserError(
                f"corpus {name} is empty: it holds no sentence of {shortest} to {longest} "
                "characters; give another file"
            )
        random.Random(seed).shuffle(found)
        chosen += found[: corpus.get("sentences", len(found))]
    random.Random(seed).shuffle(chosen)
    return chosen
