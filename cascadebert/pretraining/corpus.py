"""Reads raw text and splits it into the sentences that encoders are pre-trained on."""

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

# A sentence ends with a full stop, a question mark or an exclamation mark. A closing quote or
# bracket may follow; it is left off, since its partner may lie sentences before. Then come white
# space and a character that may begin the next sentence.
_SENTENCE_END = re.compile(r"(?<=[.!?])(?:[\"')\]]*)\s+(?=[\"'(\[]?[A-Z0-9])")
_MARKUP = re.compile(r"<[^<>]{1,100}>")
_SPACE = re.compile(r"\s+")
_SURROGATE = re.compile("[\ud800-\udfff]")  # halves of pairs, which no file of text can hold


def _open_text(path: Path):
    """Returns a text stream of `path`, decompressed by its suffix.

    Raises UserError if the file is missing, or if its decompression needs a package that is.
    """
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
    """Yields the documents of a text file or of a JSON-lines file.

    A text file has one document a line. In a JSON-lines file, each object has one in `field`. Both
    may be compressed (.gz, .xz, .bz2, .zst). Raises UserError, with file and line, if a line is not
    text, is not JSON, or has no text in the field.
    """
    path = Path(path)
    is_json_lines = {".jsonl", ".ndjson", ".json"} & set(path.suffixes)
    number = 0
    try:
        with _open_text(path) as stream:
            for number, line in enumerate(stream, start=1):
                if "\x00" in line:
                    raise UserError(f"{path}, line {number}: zero bytes; the file is not text")
                if not line.strip():
                    continue
                if not is_json_lines:
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
                if _SURROGATE.search(text):
                    raise UserError(
                        f"{path}, line {number}: half of a surrogate pair (an escape from \\ud800 "
                        "to \\udfff); write both halves, or the character itself"
                    )
                yield text
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, after line {number}: not UTF-8 text ({error})") from error
    except UserError:
        raise
    except Exception as error:  # each kind of compression has errors of its own
        raise UserError(f"{path}, after line {number}: cannot be read ({error})") from error


def read_hub_documents(name: str, subset: str | None, split: str, field: str) -> Iterator[str]:
    """Returns the documents of a data set of the hub, or of a folder that `datasets` can load.

    Rows without a document are left out. Raises UserError if the data set cannot be loaded or has
    no text in a column `field`.
    """
    rows = load_dataset(name, subset, split=split)
    if field not in rows.column_names:
        raise UserError(f"data set {name} has no column {field!r}; it has {rows.column_names}")
    kind = rows.features[field]
    if getattr(kind, "dtype", None) not in ("string", "large_string"):
        raise UserError(
            f"data set {name}: column {field!r} ({kind}) is no text; name another field"
        )
    return filter(None, rows[field])


def split_sentences(
    documents: Iterable[str], shortest: int = 12, longest: int = 400
) -> Iterator[str]:
    """Splits documents into sentences of `shortest` to `longest` characters, and leaves out others.

    A longer piece is more often a list, a table or text without full stops than a sentence.
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
    """Returns distinct sentences of all corpora in random order.

    corpora: mappings with `file` (and `field`) or `hub` (and `subset`, `split`, `field`), and
             perhaps `sentences`: the largest number of sentences to take of this corpus

    Raises UserError if a corpus holds no sentence, or none that is not in the corpora before it.
    """
    chosen = []
    seen = set()
    for corpus in corpora:
        field = corpus.get("field", "text")
        if "hub" in corpus:
            name = corpus["hub"]
            documents = read_hub_documents(
                name, corpus.get("subset"), corpus.get("split", "train"), field
            )
        else:
            name = corpus["file"]
            documents = read_documents(name, field)
        found = []
        for sentence in split_sentences(documents, shortest, longest):
            if sentence not in seen:
                seen.add(sentence)
                found.append(sentence)
        if not found:
            raise UserError(
                f"corpus {name} adds no sentence: it is empty, holds none of {shortest} to "
                f"{longest} characters, or only such as are in the corpora before it; give another "
                "one, or leave it out"
            )
        random.Random(seed).shuffle(found)
        chosen += found[: corpus.get("sentences", len(found))]
    random.Random(seed).shuffle(chosen)
    return chosen
