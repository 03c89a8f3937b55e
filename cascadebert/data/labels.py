"""How files write labels. Without pandas, which is not there wherever a cascade answers."""

import json
import math


def as_word(cell: object) -> str:
    """Returns a label or an id as a string, whatever its type in the file."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None or cell != cell:
        return ""
    return json.dumps(cell, default=str)


def number_words(labels: list[str]) -> dict[str, int]:
    """Returns what stands for a label in a file -> the label's number.

    A label is a name of `labels`. If no name is a number, a label may also be a number, from 0.
    """
    classes = {name: number for number, name in enumerate(labels)}
    if not any(map(_is_number, labels)):
        classes |= {str(number): number for number in range(len(labels))}
    return classes


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name.replace(",", ".")))
    except ValueError:
        return False
