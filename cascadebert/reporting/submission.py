"""The GLUE server's input: a zip of eleven files with a prediction for every test example.

The format is described at https://gluebenchmark.com/faq. The numbers of rows are from the card of
https://huggingface.co/datasets/nyu-mll/glue. The spellings of the labels are from the submission
formatter of jiant (https://github.com/nyu-mll/jiant), by the server's own makers.
"""

import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.core.seeds import derive_seed
from cascadebert.data.glue import GLUE
from cascadebert.data.task import Task
from cascadebert.evaluation.choice import Choice, ChosenSystem
from cascadebert.evaluation.results import load_system
from cascadebert.experiment.configuration import Experiment
from cascadebert.experiment.submitted import find_submitted_tasks

log = logging.getLogger(__name__)

HEADER = "index\tprediction"
# A fixed date, the oldest that a zip can hold: the same predictions give the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class ServerFile:
    """One of the server's files.

    rows:    of GLUE's test split; the server counts them
    answers: the server's spellings of the labels, in the order of GLUE's label numbers
    glue:    the task in `data.glue.GLUE` that the file answers. Without a task, or where the
             experiment lacks the task, every row is the first answer.
    split:   the split of the task
    """

    rows: int
    answers: tuple[str, ...]
    glue: str | None = None
    split: str = "test"


NUMBERS = ("0", "1")
FILES = {
    "CoLA": ServerFile(1_063, NUMBERS),
    "SST-2": ServerFile(1_821, NUMBERS, "SST-2"),
    "MRPC": ServerFile(1_725, NUMBERS, "MRPC"),
    "STS-B": ServerFile(1_379, ("0.0",)),
    "MNLI-m": ServerFile(9_796, GLUE["MNLI"].labels, "MNLI"),
    "MNLI-mm": ServerFile(9_847, GLUE["MNLI"].labels, "MNLI", "test_mismatched"),
    "QNLI": ServerFile(5_463, GLUE["QNLI"].labels, "QNLI"),
    "RTE": ServerFile(3_000, GLUE["RTE"].labels, "RTE"),
    "WNLI": ServerFile(146, NUMBERS),
    "QQP": ServerFile(390_965, NUMBERS, "QQP"),
    "AX": ServerFile(1_104, GLUE["MNLI"].labels),
}


def write_submission(experiment: Experiment, results: File, out: File) -> None:
    """Writes the zip that the experiment's section `submission` asks for.

    results: results/<experiment>, with the predictions and choices of the submitted tasks
    Raises UserError if a test split is not the whole official one.
    """
    predicted: dict[str, list[str]] = {}
    for glue, name in find_submitted_tasks(experiment).items():
        predicted |= _answer_task(experiment, Path(results), glue, name)
    for name in FILES:
        if name not in predicted:
            log.info(f"{name}.tsv: nothing predicts it, every row is {FILES[name].answers[0]}")
    with replacing(out) as draft:
        with zipfile.ZipFile(draft, "w") as archive:
            for name, file in FILES.items():
                answers = predicted.get(name, [file.answers[0]] * file.rows)
                rows = "".join(f"{index}\t{answer}\n" for index, answer in enumerate(answers))
                info = zipfile.ZipInfo(f"{name}.tsv", DATE)
                archive.writestr(info, f"{HEADER}\n{rows}", zipfile.ZIP_DEFLATED)
        check_zip(draft)


def _answer_task(
    experiment: Experiment, results: Path, glue: str, name: str
) -> dict[str, list[str]]:
    """File -> the answers of the submitted system to a GLUE task, as the server spells them.

    name: of the task in the experiment
    """
    section = experiment.config["submission"]
    key, speedup = section["system"], section["speedup"]
    task = Task.load(results / "data" / name)
    files = {file: about for file, about in FILES.items() if about.glue == glue}
    splits = [about.split for about in files.values()]
    for split in splits:
        if split not in task.splits:
            raise UserError(
                f"task {name} has no split {split}, which the server wants; its source must "
                f"have GLUE's own {split} split of {glue}"
            )
    if set(task.labels) != set(GLUE[glue].labels):
        raise UserError(
            f"task {name}: its labels are {', '.join(task.labels)}, but those of GLUE's {glue} "
            f"are {', '.join(GLUE[glue].labels)}; leave `labels` out"
        )
    choice = Choice.load(results / "evaluation" / name / "choices" / f"{key}.json")
    system = load_system(experiment, results / "predictions", task, key, choice.full_cost, splits)
    chosen = ChosenSystem(system, choice)
    best = _pick_replicate(chosen, speedup, experiment.config["evaluation"]["tolerance"])
    found = {}
    for file, about in files.items():
        predictions = chosen.predictions(about.split)[best]
        rows = _number_rows(name, about, predictions.ids, predictions.labels)
        emission = chosen.emit(about.split, speedup)
        seed = derive_seed(experiment.config["seed"], "submission", name, key, about.split)
        spelled = dict(zip(GLUE[glue].labels, about.answers, strict=True))
        found[file] = [about.answers[0]] * about.rows
        for row, answer in zip(rows, emission.draw(seed)[best], strict=True):
            found[file][row] = spelled[task.labels[answer]]
        log.info(f"{file}.tsv: {len(rows):,} rows predicted, {emission.speedups[best]:.2f}x")
    return found


def _pick_replicate(chosen: ChosenSystem, speedup: float, tolerance: float) -> int:
    """The replicate with the best score on dev, at the thresholds for the target speed-up.

    Raises UserError if the system does not reach the target on dev, see `ChosenSystem.reaches`.
    """
    system, mixtures = chosen.system, chosen.choice.mixtures[speedup]
    best = int(np.argmax([mixture.score for mixture in mixtures]))
    if not chosen.reaches(speedup, tolerance):
        raise UserError(
            f"task {system.task}: the nearest that {system.system} comes to {speedup:g}x on dev is "
            f"{mixtures[best].speedup:.2f}x; choose another submission.speedup"
        )
    log.info(
        f"{system.task}: replicate {best}, {mixtures[best].score:.1f} and "
        f"{mixtures[best].speedup:.2f}x on dev"
    )
    return best


def _number_rows(task: str, file: ServerFile, ids: np.ndarray, gold: np.ndarray) -> list[int]:
    """The examples' row numbers in the official split.

    Raises UserError if rows are missing that the task may not leave out.
    """
    place = f"task {task}, split {file.split}"
    if (gold >= 0).any():
        raise UserError(
            f"{place}: it has labels, so it is not GLUE's test split; leave hold_out out (it takes "
            "the official dev split for test) and correct source.splits"
        )
    names = [str(name).removeprefix(f"{file.split}-") for name in ids]
    if not all(name.isdecimal() for name in names):
        raise UserError(f"{place}: its ids do not number its rows; leave columns.id out")
    rows = [int(name) for name in names]
    missing = file.rows - len(rows)
    if max(rows) != file.rows - 1 or not 0 <= missing <= GLUE[str(file.glue)].incomplete:
        raise UserError(
            f"{place}: it has {len(rows):,} rows, but GLUE's has {file.rows:,}, and the server "
            f"wants them all; leave limit.{file.split} out, or correct the source"
        )
    return rows


def check_zip(path: File) -> None:
    """Raises UserError, with file and line, if the server would refuse the zip."""
    path = Path(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if sorted(names) != sorted(f"{name}.tsv" for name in FILES):
            raise UserError(f"{path.name} holds {', '.join(names)}; the server takes {len(FILES)}")
        for name, file in FILES.items():
            place = f"{path.name}, {name}.tsv"
            header, *rows, end = archive.read(f"{name}.tsv").decode("utf-8").split("\n")
            if header != HEADER or end:
                raise UserError(f"{place}: its first line is no {HEADER!r}, or its last has no end")
            if len(rows) != file.rows:
                raise UserError(f"{place}: {len(rows)} rows, where there should be {file.rows}")
            for index, row in enumerate(rows):
                if row not in {f"{index}\t{answer}" for answer in file.answers}:
                    raise UserError(
                        f"{place}, line {index + 2}: {row!r} is not {index}, a tab and one of "
                        f"{', '.join(file.answers)}"
                    )
