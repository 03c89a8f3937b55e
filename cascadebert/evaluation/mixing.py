"""Two operating points, mixed by a coin for each input: every speed-up between the two.

The expected cost is linear in the chance of the faster point; the speed-up is not. A score is a
ratio of two sums over examples (`data.scores`), and both are linear in that chance. The score of a
mixture is the ratio of their expected values. For accuracy this is the expected score; for F1 it is
its limit for many examples. The coin is thrown only where single answers are needed
(`Emission.draw`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cascadebert.data.scores import compute_percent
from cascadebert.systems.exits import Knob


@dataclass(frozen=True)
class Mixture:
    """Two knobs of a rule, between which a coin decides.

    slower, faster: the knobs; the same where no coin is needed
    share:          chance of the faster knob
    speedup, score: expected, on the examples on which the knobs were chosen
    """

    slower: Knob
    faster: Knob
    share: float
    speedup: float
    score: float

    @property
    def knobs(self) -> tuple[Knob, Knob]:
        return self.slower, self.faster

    @property
    def chances(self) -> tuple[float, float]:
        """Of the two knobs."""
        return 1 - self.share, self.share

    @property
    def mean_knob(self) -> np.ndarray:
        """The expected knob: a number, or one for each exit but the last."""
        return np.average(np.asarray(self.knobs, dtype=float), axis=0, weights=self.chances)


def mix_points(
    knobs: tuple[Knob, Knob], speedups: ArrayLike, terms: ArrayLike, target: float
) -> Mixture:
    """The mixture of a slower and a faster point whose expected cost is the target's.

    knobs:    of the two points
    speedups: of the two points, at or on the two sides of the target, `[points]`
    terms:    numerators and denominators of their scores, `[2, points]`
    """
    slower, faster = 1 / np.asarray(speedups)  # costs
    share = 0.0 if slower == faster else float((slower - 1 / target) / (slower - faster))
    chances = np.array([1 - share, share])
    return Mixture(
        slower=knobs[0],
        faster=knobs[1],
        share=share,
        speedup=float(1 / (chances @ [slower, faster])),
        score=float(compute_percent(*(np.asarray(terms) @ chances))),
    )


def hold(knob: Knob, speedup: float = np.nan, score: float = np.nan) -> Mixture:
    """One knob for all inputs."""
    return Mixture(knob, knob, 0.0, speedup, score)


@dataclass(frozen=True, eq=False)
class Emission:
    """What the replicates of a system emit on a split, each by a mixture of its own.

    answers:   predicted labels at either knob, `[knobs, replicates, examples]`
    exits:     the exits taken, index of the same shape
    chances:   of either knob, `[knobs, replicates]`
    speedups:  expected, `[replicates]`
    """

    answers: np.ndarray
    exits: np.ndarray
    chances: np.ndarray
    speedups: np.ndarray

    def leaving(self, exits: int) -> np.ndarray:
        """The chance that each example leaves at each exit, `[exits, replicates, examples]`."""
        here = self.exits == np.arange(exits)[:, None, None, None]
        return np.einsum("kr,ekrn->ern", self.chances, here)

    def draw(self, seed: int) -> np.ndarray:
        """Answers `[replicates, examples]` of one throw of the coin for each example."""
        coins = np.random.default_rng(seed).random(self.answers.shape[1:])
        return np.where(coins < self.chances[1][:, None], self.answers[1], self.answers[0])
