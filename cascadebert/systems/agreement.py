"""Agreement-based cascading (Kolawole et al., TMLR 2025): small models answer where they agree.

The first stage is an ensemble: one small model, fine-tuned with several seeds. If enough of its
members give the same label, it is the answer; else the large model answers. The ensemble costs as
much as all its members one after another.
"""

from collections.abc import Sequence

import numpy as np

from cascadebert.data.predictions import Predictions
from cascadebert.systems.exits import ExitRule, first_confident
from cascadebert.systems.method import ENCODER, Candidate, Options, Run

SEEDS = 3


def vote(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """The label that most members of the ensemble give, and their share of it, `[examples]` each.

    All exits but the last are the ensemble's. Among equally frequent labels, that of the earliest
    member counts.
    """
    members = predictions.predicted[:, :-1]
    counts = (members[:, :, None] == members[:, None, :]).sum(axis=-1)
    first = counts.argmax(axis=1)
    rows = np.arange(len(members))
    return members[rows, first], counts[rows, first] / members.shape[1]


def _share_at_last_member(predictions: Predictions) -> np.ndarray:
    """`[examples, exits]`: nothing leaves before the whole ensemble has voted."""
    signal = np.full(predictions.predicted.shape, -1.0)
    signal[:, -2] = vote(predictions)[1]
    return signal


def _answer_by_vote(predictions: Predictions) -> np.ndarray:
    answers = predictions.predicted.copy()
    answers[:, -2] = vote(predictions)[0]
    return answers


def _list_shares(predictions: Predictions) -> np.ndarray:
    """Thresholds between the possible shares: from "any" over "most" to "none"."""
    members = predictions.predicted.shape[1] - 1
    return np.concatenate([[0.0], (np.arange(1, members) + 0.5) / members, [1.0]])


EXIT_RULE = ExitRule(
    name="agreement",
    knob="share of votes",
    signal=_share_at_last_member,
    first=first_confident,
    knobs=_list_shares,
    answers=_answer_by_vote,
    ensemble=True,
)
OPTIONS = {
    "required": ["members"],
    "properties": {
        "members": {
            "type": "array",
            "items": ENCODER,
            "minItems": 2,
            "maxItems": 2,
            "uniqueItems": True,
            "description": "the encoder of the ensemble, and the large one",
        },
        "seeds": {
            "type": "integer",
            "minimum": 2,
            "description": f"how many models the ensemble has; default: {SEEDS}",
        },
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    small, large = options["members"]
    # The first is the same run as any other system's; the others have seeds of their own.
    others = (
        Run("finetune", small, (("seed", n),)) for n in range(2, options.get("seeds", SEEDS) + 1)
    )
    return [Candidate(label="", runs=(Run("finetune", small), *others, Run("finetune", large)))]
