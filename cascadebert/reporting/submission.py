"""The GLUE server's input: a zip of eleven files with a prediction for every test example.

The format is described at https://gluebenchmark.com/faq. The numbers of rows are from the card of
https://huggingface.co/datasets/nyu-mll/glue. The spellings of the labels are from the submission
formatter of jiant (https://github.com/nyu-mll/jiant), by the server's own makers.
"""

import logging
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import replacing
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


def write_submission(
    experiment: Experiment, results: str | os.PathLike, out: str | os.PathLike
) -> None:
    """Writes the zip that the experiment's section `submission` asks for.

    results: results/<experiment>, with the predictions and choices of the submitted tasks
    Raises UserError if a test split is not the whole official one.
    """
    results, section = Path(results), experiment.config["submission"]
    key, speedup = section["system"], section["speedup"]
    predicted = {}
    for glue, name in find_submitted_tasks(experiment).items():
        task = Task.load(results / "data" / name)
        choice = Choice.load(results / "evaluation" / name / "choices" / f"{key}.json")
        splits = [file.split for file in FILES.values() if file.glue == glue]
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
        predictions = results / "predictions"
        system = load_system(experiment, predictions, task, key, choice.full_cost, splits)
        chosen = ChosenSystem(system, choice)
        tolerance = experiment.config["evaluation"]["tolerance"]
        best = _pick_replicate(chosen, speedup, tolerance)
        point = SubmittedPoint(chosen, speedup, best, experiment.config["seed"])
        predicted |= _spell_answers(point, glue, task.labels)
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


@dataclass(frozen=True)
class SubmittedPoint:
    """One replicate of a system at a target speed-up; the seed throws the coin of its mixture."""

    chosen: ChosenSystem
    speedup: float
    replicate: int
    seed: int

    def answer(self, split: str) -> np.ndarray:
        """Predicted labels, `[examples]`."""
        system = self.chosen.system
        seed = derive_seed(self.seed, "submission", system.task, system.system, split)
        return self.chosen.emit(split, self.speedup).draw(seed)[self.replicate]


def _spell_answers(point: SubmittedPoint, glue: str, labels: list[str]) -> dict[str, list[str]]:
    """File -> the point's answers as the server spells them, `[rows]`."""
    task = point.chosen.system.task
    found = {}
    for name, file in FILES.items():
        if file.glue == glue:
            predictions = point.chosen.predictions(file.split)[point.replicate]
            rows = _number_rows(task, file, predictions.ids, predictions.labels)
            spelled = dict(zip(GLUE[glue].labels, file.answers, strict=True))
            found[name] = [file.answers[0]] * file.rows
            for row, answer in zip(rows, point.answer(file.split), strict=True):
                found[name][row] = spelled[labels[answer]]
            speedups = point.chosen.emit(file.split, point.speedup).speedups
            log.info(f"{name}.tsv: {len(rows):,} rows predicted, {speedups[point.replicate]:.2f}x")
    return found


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


def check_zip(path: str | os.PathLike) -> None:
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
