"""Checks what callers give to a cascade."""

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Integral, Number
from pathlib import Path
from typing import Any

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File


def spread(threshold: float | Sequence[float], count: int) -> list[float]:
    """One threshold for each of `count` members. Raises UserError if there are others."""
    try:
        given = np.asarray(threshold, dtype=float)
    except (TypeError, ValueError):
        given = np.array(np.nan)
    if np.isnan(given).any() or given.shape not in ((), (count,)):
        raise UserError(
            f"threshold is {threshold!r}; give a number, or {count} numbers: one for each member "
            "but the last"
        )
    return np.broadcast_to(given, count).tolist()


def list_folders(folders: Iterable[File]) -> list[File]:
    """The folders in their order. Raises UserError with the position of what is none."""
    if not isinstance(folders, Iterable) or isinstance(folders, (Mapping, Set, bytes)):
        raise UserError(
            f"folders: a {type(folders).__name__} is no sequence of folders; give a list, the "
            "smallest model first"
        )
    found = list(folders)
    for position, folder in enumerate(found):
        if not isinstance(folder, (str, os.PathLike)):
            raise UserError(
                f"folders[{position}] is {folder!r:.50}, a {type(folder).__name__}; give the path "
                "of a folder"
            )
    return found


def is_count(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def list_texts(texts: str | Iterable[str], name: str) -> list[str]:
    """The strings in their order. Raises UserError with the position of what is none."""
    if isinstance(texts, str):
        texts = [texts]
    # Iteration would give keys, numbers, column names, or strings in no order.
    elif isinstance(texts, (Mapping, Set, bytes)) or getattr(texts, "ndim", 1) != 1:
        raise UserError(
            f"{name}: a {type(texts).__name__} is no sequence of strings; give a list, or one "
            "column of a table"
        )
    elif not isinstance(texts, Iterable):
        raise UserError(f"{name}: {texts!r:.50} is a {type(texts).__name__}; give strings")
    found = []
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(
                f"{name}[{position}] is {text!r:.50}, a {type(text).__name__}; give a string"
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{name}[{position}] has half of a surrogate pair at character {error.start}; "
                "decode the text anew, for example with errors='replace'"
            ) from error
        found.append(str(text))
    return found


def choose(results: Path, kind: str, given: Any, offered: Iterable[Any]) -> Any:
    """What the experiment offers that equals `given`. Raises UserError if nothing does."""
    offered = list(offered)
    if isinstance(given, str | Number) and not isinstance(given, bool) and given in offered:
        return offered[offered.index(given)]
    names = ", ".join(f"{o:g}" if isinstance(o, float) else str(o) for o in offered)
    raise UserError(f"{results} has no {kind} {given!r:.50}; choose from: {names or 'none'}")
