"""`cascadebert bench`: what a cascade saves on this machine, beside its largest member alone."""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from cascadebert.commands.model import list_runtimes, load_for
from cascadebert.commands.predict import choose_form, guess_format, open_input
from cascadebert.commands.rows import RowReader
from cascadebert.core.errors import UserError
from cascadebert.core.text import show
from cascadebert.data.labels import number_words
from cascadebert.data.scores import score
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.folder import Description, find_folder
from cascadebert.deployment.latency import time_in_turn
from cascadebert.deployment.members import TORCH

BATCHES = (1, 32)
ROUNDS = 3
FEWEST = 16  # texts that are timed
HEADER = ("runtime", "answers", "batch", "ms a text", "p95", "texts a second", "faster")


@dataclass(frozen=True)
class Texts:
    """labels: numbers of the classes, or None"""

    texts: list[str]
    pairs: list[str] | None
    labels: np.ndarray | None

    def take(self, count: int) -> tuple[list[str], list[str] | None]:
        return self.texts[:count], self.pairs and self.pairs[:count]


@dataclass(frozen=True)
class Timed:
    """A cascade, or its last member alone, on a runtime."""

    runtime: str
    name: str
    cascade: Cascade


def bench(parsed: argparse.Namespace) -> None:
    """Prints a table. Raises UserError if the texts cannot be read, or nothing can be timed."""
    for option in ("rows", "seconds", "threads"):
        value = getattr(parsed, option)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"--{option} is {value:g}; give a number above 0")
    folder = find_folder(parsed.model)
    described = Description.load(folder)
    given = _read_texts(parsed, described)
    runtimes = [parsed.runtime] if parsed.runtime else list_runtimes(folder, described)
    timed = [each for runtime in runtimes for each in _load(folder, runtime, parsed)]
    if not timed:
        raise UserError(f"no runtime of {folder} can be timed")
    metric = described.about.get("metric", "accuracy")
    scores, seconds = [], 0.0
    for each in timed:
        each.cascade(*given.take(FEWEST), batch_size=1)  # the first answers are slow
        start = time.perf_counter()
        found = each.cascade(given.texts, given.pairs)
        seconds += (time.perf_counter() - start) / len(given.texts)
        if given.labels is not None:
            scores.append(score(metric, found.probabilities.argmax(axis=1), given.labels))
    # One text at a time takes longer than in batches: twice as long is a guess.
    count = max(FEWEST, int(parsed.seconds / (len(BATCHES) * (ROUNDS + 1) * 2 * seconds)))
    count = min(count, len(given.texts))
    header = (*HEADER, metric) if scores else HEADER
    _print([header, *_measure(timed, scores, given, count)])
    print(
        f"{count:,} texts in {ROUNDS} rounds in turn: medians, and what 5 of 100 texts exceed "
        f"(p95);\nfaster than member {len(described.members)} alone on the same runtime"
    )
    if scores:
        print(f"{metric} in percent, on {len(given.texts):,} texts")


def _read_texts(parsed: argparse.Namespace, described: Description) -> Texts:
    """The first rows of the file, without those that cannot be read."""
    kind = guess_format(parsed)
    form = choose_form(parsed, kind, described)
    has_labels = parsed.label is not None
    columns = (*form.columns, parsed.label) if has_labels else form.columns
    with open_input(parsed.input) as (binary, _):
        reader = RowReader(binary, parsed.input, kind, parsed.encoding, form.encoding)
        rows = reader.read(columns, form.header, form.quotes, label=has_labels)
        readable = islice((row for row in rows if not row.problem), parsed.rows)
        found = [(row.line, row.values) for row in readable]
    if not found:
        raise UserError(f"{parsed.input} has no row that can be read")
    numbers = number_words(described.labels)
    for line, values in found if has_labels else ():
        if values[-1] not in numbers:
            raise UserError(
                f"{parsed.input}, line {line}: {show(values[-1])} is no label of the cascade; "
                f"it has {', '.join(described.labels)}"
            )
    return Texts(
        texts=[values[0] for _, values in found],
        pairs=[values[1] for _, values in found] if len(form.columns) > 1 else None,
        labels=np.array([numbers[values[-1]] for _, values in found]) if has_labels else None,
    )


def _load(folder: Path, runtime: str, parsed: argparse.Namespace) -> Iterator[Timed]:
    """The last member alone and the cascade.

    Nothing, with a line that says why, if the runtime is not installed or has no such thresholds.
    Raises UserError if the runtime is asked for.
    """
    try:
        cascade = load_for(parsed, folder, runtime)
    except ModuleNotFoundError as error:
        print(f"{runtime} is left out: {error.name} is not installed", file=sys.stderr)
        return
    except UserError as error:
        if parsed.runtime:
            raise
        print(f"{runtime} is left out: {error}", file=sys.stderr)
        return
    if cascade.thresholds is None:
        print(f"{runtime} is left out: it has no thresholds; give --threshold", file=sys.stderr)
        return
    if runtime == TORCH and parsed.threads:
        import torch

        torch.set_num_threads(parsed.threads)
    last = Cascade(cascade.members[-1:], cascade.tokenizers[-1:], [], cascade.max_length)
    yield Timed(runtime, f"member {len(cascade.members)} alone", last)
    if len(cascade.members) > 1:
        yield Timed(runtime, "cascade", cascade)


def _measure(
    timed: list[Timed], scores: list[float], given: Texts, count: int
) -> Iterator[tuple[str, ...]]:
    """The lines of the table."""
    answers = [each.cascade for each in timed]
    found = {batch: time_in_turn(answers, *given.take(count), batch, ROUNDS) for batch in BATCHES}
    for index, each in enumerate(timed):
        alone = next(i for i, other in enumerate(timed) if other.runtime == each.runtime)
        for batch, took in found.items():
            milliseconds = 1000 * float(np.median(took[:, index].mean(axis=1)))
            p95 = 1000 * float(np.median(np.quantile(took[:, index], 0.95, axis=1)))
            ratio = np.median(took[:, alone].mean(axis=1) / took[:, index].mean(axis=1))
            line = (
                each.runtime,
                each.name,
                str(batch),
                f"{milliseconds:.3g}",
                f"{p95:.3g}" if batch == 1 else "",
                f"{1000 / milliseconds:,.0f}",
                f"{ratio:.2f}",
            )
            yield line if not scores else (*line, f"{scores[index]:.1f}")


def _print(lines: list[tuple[str, ...]]) -> None:
    """Words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        text = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(cells)]
        print("  ".join(text).rstrip())
