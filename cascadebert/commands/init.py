"""`cascadebert init`: looks at a table, says what it finds, and writes a configuration."""

import argparse
import logging
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from cascadebert.commands.columns import choose_columns, read_table
from cascadebert.commands.cost import FOLDS, SEEDS, describe_time, estimate_seconds
from cascadebert.core.errors import UserError
from cascadebert.core.files import replacing
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.core.text import quote, show
from cascadebert.data.load import load_task
from cascadebert.data.splitting import same_text
from cascadebert.data.task import Task, list_doubts
from cascadebert.data.tokens import has_pairs
from cascadebert.encoders.loading import find_shape
from cascadebert.encoders.shape import Shape
from cascadebert.experiment.configuration import load_experiment
from cascadebert.experiment.consistency import refuse_contradictions
from cascadebert.training.gpus import list_gpus

SEED = 2021
SHARES = {"dev": 0.1, "test": 0.2}  # of the rows, where there is no such file
NO_TEXT = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # or an end of a line
FEW = 10  # rows of a class in the train split, with which it is hardly learnt
LENGTHS = (32, 64, 128, 256, 512)
EMBEDDED = ("models/bert-2x128", "models/bert-12x128")
HUB = ("google/bert_uncased_L-2_H-768_A-12", "google-bert/bert-base-uncased")
HUB_SHAPE = Shape("bert", 12, 768, 3072, 512)  # of its large model, which need not be there yet
EPOCHS = 3
CONFIGURATION = """\
# Written by `cascadebert init`. Run it with `cascadebert run {file}`. What is not said here is as
# in the default configuration; docs/reference/configuration.md of the project explains all keys.
{experiment} # results go to results/{name}

tasks:
{task}
# Pre-trained encoders, a small and a large one: names of the Hugging Face hub, or folders.
{encoders}
{systems}
replicates: 1 # trainings of every system; with 3, intervals tell of other trainings, too
training: {{epochs: {epochs}, learning_rate: {rate}, max_length: {length}}}
evaluation: {{targets: [2, 3, 4]}} # speed-ups
"""


SYSTEMS = """\
# Rows of the tables: the large model alone, and cascades of both without and with difficulty-aware
# regularisation (DAR), which trains the small model {trainings} times more to find difficult texts.
systems:
  full: {{method: finetune, title: Full model, encoder: bert-12}}
  cascade:
    {{method: cascade, title: Cascade, members: [bert-2, bert-12], ablation_of: cascadebert}}
  cascadebert:
    {{method: cascade, title: CascadeBERT, members: [bert-2, bert-12], dar: true}}
proposed: cascadebert
"""
FOLDED = "difficulty: {{folds: {folds}}} # as many as the rarest class has rows in train\n"
WITHOUT_DAR = """\
# Rows of the tables: the large model alone, and a cascade of both.
systems:
  full: {method: finetune, title: Full model, encoder: bert-12}
  cascade: {method: cascade, title: Cascade, members: [bert-2, bert-12]}
proposed: cascade
"""


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the library's warnings."""
    log = logging.getLogger("cascadebert")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def init(parsed: argparse.Namespace) -> None:
    """Writes the configuration. Raises UserError if the table cannot be used as it is."""
    data = Path(parsed.data)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", data.stem).strip("-._")[:60] or "my-task"
    out = Path(parsed.output) if parsed.output else data.with_name(f"{name}.yaml")
    files = {"train": parsed.data, "dev": parsed.dev, "test": parsed.test}
    tables = [Path(path) for path in files.values() if path]
    if wrong := next((path for path in map(str, [*tables, out]) if NO_TEXT.search(path)), None):
        raise UserError(
            f"{quote(wrong)} has a line break, or a character that is no text; rename the file or "
            "the folder"
        )
    if out.exists() and any(path.exists() and out.samefile(path) for path in tables):
        raise UserError(f"{out} is a table that init reads; name another --output")
    if out.is_dir():
        raise UserError(f"{out} is a folder; name a file with --output")
    if out.exists() and not parsed.force:
        raise UserError(f"{out} is there; name another --output, or replace it with --force")
    table, form = read_table(data)
    columns = choose_columns(table, parsed.text, parsed.label, parsed.pair)
    if not columns.header:
        table, form = read_table(data, form | {"header": False})
    labels = columns.list_labels(table)
    entry: dict[str, Any] = {
        "source": {"files": {split: str(path) for split, path in files.items() if path}},
        "columns": columns.names,
        "labels": labels,
    }
    if form:
        entry["format"] = form
    missing = {split: share for split, share in SHARES.items() if not files[split]}
    if missing:
        entry["split"] = missing
    with _quiet():  # the doubts are told below
        task = load_task(name, entry, SEED)
        lengths = count_tokens(task)
    on_gpu = bool(list_gpus())
    length = _choose_length(lengths)
    shape = HUB_SHAPE if on_gpu else find_shape(WORKFLOW_FOLDER / EMBEDDED[1])
    rarest = int(task.splits["train"]["label"].value_counts().min())
    folds = min(FOLDS, rarest) if rarest > 1 else 0
    seconds = estimate_seconds(shape, np.minimum(lengths, length), EPOCHS, folds, on_gpu)
    text = CONFIGURATION.format(
        file=shlex.quote(str(out)),
        # In quotes where YAML would read a number, a date, or a word such as `on`.
        experiment=yaml.safe_dump({"experiment": name}).strip(),
        name=name,
        task=_indent(yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True)),
        encoders=_describe_encoders(on_gpu),
        systems=_describe_systems(folds),
        epochs=EPOCHS,
        rate="2.0e-5" if on_gpu else "2.0e-4",
        length=length,
    )
    try:
        override = yaml.safe_load(text)
        refuse_contradictions(load_experiment(WORKFLOW_FOLDER / "config.yaml", override))
    except UserError as error:
        raise UserError(f"{data} cannot be used as it is: {error}") from None
    with replacing(out) as draft:
        draft.write_text(text, encoding="utf-8")
    if form.get("encoding") == "cp1252":  # which most other encodings of one byte could be, too
        print("Note: the file is no UTF-8, and is read as cp1252 (Western Europe)")
    if "header" in form:
        print("Note: line 1 has a label, so it is read as a row; if it has names, give --text")
    _describe(task, columns.names, lengths, length, table.cells)
    if folds == 0:
        print("Note: DAR is left out, since it needs 2 rows of each class in train")
    elif folds < FOLDS:
        why = "as many as the rarest class has rows in train"
        print(f"Note: DAR has {folds} folds instead of {FOLDS}, {why}")
    print(f"Time: {describe_time(seconds)}")
    print(f"{out} is written. Next: cascadebert run {shlex.quote(str(out))}")


def count_tokens(task: Task) -> np.ndarray:
    """The number of tokens of every text of the train split, by the embedded vocabulary."""
    from tokenizers import Tokenizer

    path = WORKFLOW_FOLDER / EMBEDDED[1] / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    table = task.splits["train"]
    pairs = has_pairs(table)
    texts = list(zip(table["text"], table["text_pair"], strict=True)) if pairs else table["text"]
    return np.array([len(found.ids) for found in tokenizer.encode_batch_fast(list(texts))])


def _choose_length(lengths: np.ndarray) -> int:
    """The shortest usual length that cuts at most 5% of the texts, else the longest."""
    wanted = np.quantile(lengths, 0.95)
    return next((length for length in LENGTHS if length >= wanted), LENGTHS[-1])


def _describe_encoders(on_gpu: bool) -> str:
    (small, large), other = (HUB, EMBEDDED) if on_gpu else (EMBEDDED, HUB)
    why = (
        "these are BERT's own, since this machine has a GPU; without one, take those below"
        if on_gpu
        else "these come with cascadebert, are English and quick on a CPU; with a GPU, take those "
        "below,\n# and learning_rate 2.0e-5"
    )
    return (
        f"# {why[0].upper()}{why[1:]}.\n"
        f"encoders:\n  bert-2: {{model: {small}, tokenizer: bert-12}}\n  bert-12: {large}\n"
        f"  # bert-2: {{model: {other[0]}, tokenizer: bert-12}}\n  # bert-12: {other[1]}\n"
        "reference: bert-12\n"
    )


def _describe_systems(folds: int) -> str:
    """The systems of the configuration; without DAR if there are no folds."""
    if folds == 0:
        return WITHOUT_DAR
    systems = SYSTEMS.format(trainings=folds * SEEDS)
    return systems + FOLDED.format(folds=folds) if folds < FOLDS else systems


def _indent(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def _describe(
    task: Task, columns: dict[str, Any], lengths: np.ndarray, length: int, cells: pd.DataFrame
) -> None:
    """Prints what was found."""
    named = ", ".join(f"{role}: {show(column)}" for role, column in columns.items())
    print(f"Columns: {named} (of {', '.join(map(show, cells.columns)):.200})")
    for split, about in task.description["splits"].items():
        counts = about["classes"].items()
        classes = ", ".join(f"{show(label)} {count:,}" for label, count in counts)
        print(f"{split}: {about['rows']:,} rows ({classes:.300}); {about['source']}")
    every = pd.concat(task.splits.values())
    repeated = len(every) - len(np.unique(same_text(every)))
    print(f"Rows with a text that another row has: {repeated:,}")
    middle, high = np.quantile(lengths, [0.5, 0.95])
    cut = (lengths > length).mean()
    print(f"Lengths: {middle:.0f} tokens, 95% below {high + 1:.0f}; {cut:.1%} cut at {length}")
    for doubt in list_doubts(task.description):
        print(f"Note: {doubt}")
    for label, count in task.description["splits"]["train"]["classes"].items():
        if 0 < count < FEW:
            print(f"Note: {show(label)} has {count} rows in train, which is few")
