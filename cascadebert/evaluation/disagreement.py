"""The examples on which systems give different answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cascadebert.evaluation.choice import ChosenSystem


class Outputs(NamedTuple):
    """What the first replicate of a system gives for some examples.

    answers:    the label that each exit emits, int64 `[examples, exits]`
    confidence: the largest class probability, `[examples, exits]`
    taken:      target speed-up -> the exit taken, int64 `[examples]`, with the threshold that a
                deployed system uses
    """

    answers: np.ndarray
    confidence: np.ndarray
    taken: dict[float, np.ndarray]


@dataclass(frozen=True, eq=False)
class Disagreements:
    """The examples of a split on which systems disagree, those with most disagreement first.

    rows:         their places in the split, int64 `[examples]`
    disagreement: the share of the answers that are not the most frequent answer, `[examples]`;
                  there is an answer for each system and target
    outputs:      system -> its outputs for these examples
    """

    rows: np.ndarray
    disagreement: np.ndarray
    outputs: dict[str, Outputs]


def find_disagreements(chosen: Mapping[str, ChosenSystem], split: str, most: int) -> Disagreements:
    """The `most` examples of a split on which the systems disagree most.

    A tie keeps the order of the split. Examples to which all systems give one answer are left out.
    """
    outputs = {key: _collect_outputs(each, split) for key, each in chosen.items()}
    emitted = np.array(
        [
            of.answers[np.arange(len(of.answers)), exits]
            for of in outputs.values()
            for exits in of.taken.values()
        ]
    )
    votes = np.array([(emitted == label).mean(axis=0) for label in np.unique(emitted)])
    disagreement = 1 - votes.max(axis=0)
    rows = np.argsort(-disagreement, kind="stable")[:most]
    rows = rows[disagreement[rows] > 1e-9]
    return Disagreements(
        rows,
        disagreement[rows],
        {
            key: Outputs(
                of.answers[rows],
                of.confidence[rows],
                {target: exits[rows] for target, exits in of.taken.items()},
            )
            for key, of in outputs.items()
        },
    )


def _collect_outputs(chosen: ChosenSystem, split: str) -> Outputs:
    predictions = chosen.predictions(split)[0]
    rule = chosen.system.rules[chosen.choice.candidate][0]
    return Outputs(
        rule.answers(predictions),
        predictions.confidence,
        {
            target: rule.exit_index(predictions, knobs[0])
            for target, knobs in chosen.choice.knobs.items()
        },
    )


def count_right(chosen: ChosenSystem, split: str, rows: np.ndarray) -> np.ndarray:
    """How many replicates of a system's first exit are right, int64 `[rows]`.

    The paper calls an example easy if the small models of all seeds are right, else difficult.
    """
    labels = chosen.system.labels(split)[rows]
    predicted = [each.predicted[rows, 0] for each in chosen.predictions(split)]
    return (np.array(predicted) == labels).sum(axis=0)
