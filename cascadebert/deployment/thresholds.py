"""Thresholds for a cascade from the predictions of its members on labelled texts."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.data.labels import number_words
from cascadebert.data.predictions import Predictions
from cascadebert.deployment.folder import OperatingPoint
from cascadebert.deployment.given import is_count
from cascadebert.encoders.shape import count_layer_flops
from cascadebert.evaluation.choice import sweep
from cascadebert.evaluation.promises import certify_threshold
from cascadebert.systems.exits import CONFIDENCES

if TYPE_CHECKING:
    from cascadebert.deployment.cascade import Cascade


def fit_thresholds(
    cascade: "Cascade",
    texts: list[str],
    labels: Sequence[str | int],
    pairs: Iterable[str] | None,
    speedup: float | None,
    max_loss: float | None,
    delta: float | None,
) -> OperatingPoint:
    """Does what `Cascade.fit_thresholds` describes."""
    _check_aims(speedup, max_loss, delta)
    # JSON takes no number of numpy.
    speedup, max_loss, delta = (v if v is None else float(v) for v in (speedup, max_loss, delta))
    if len(cascade.members) < 2:
        raise UserError("the cascade has one member, and so no threshold")
    gold = _number_labels(labels, cascade.classes, len(texts))
    probabilities = cascade.compute_all(texts, pairs)  # takes long, and so comes after the checks
    configs = [member.config for member in cascade.members]
    flops = [of.num_hidden_layers * count_layer_flops(of, cascade.max_length) for of in configs]
    dev = Predictions(
        logits=np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)),
        # In units of the last member. A text that reaches it has run all others.
        costs=np.cumsum(flops) / flops[-1],
        ids=np.arange(len(gold)).astype(str),
        labels=gold,
    )
    promise = None
    if speedup is not None:
        thresholds = choose_for_speedup(dev, speedup)
    elif max_loss is not None and delta is not None:
        thresholds = [certify_threshold(dev, max_loss, delta)] * (len(cascade.members) - 1)
        promise = {"max_loss": max_loss, "delta": delta}
    else:
        thresholds = choose_for_loss(dev, max_loss or 0.0)
    exits = CONFIDENCES.exit_index(dev, thresholds)
    right = dev.predicted == gold[:, None]
    measured = {
        "n": len(gold),
        "score": 100 * float(right[np.arange(len(gold)), exits].mean()),
        "full_score": 100 * float(right[:, -1].mean()),
        "speedup": 1 / float(dev.costs[exits].mean()),
    }
    return OperatingPoint(cascade.runtime, thresholds, speedup, promise, {"dev": measured})


def _check_aims(speedup: float | None, max_loss: float | None, delta: float | None) -> None:
    if (speedup is None) == (max_loss is None):
        raise UserError("give one of `speedup` and `max_loss`")
    if delta is not None and max_loss is None:
        raise UserError("`delta` belongs to `max_loss`; give both")
    for name, value, most in (
        ("speedup", speedup, np.inf),
        ("max_loss", max_loss, 1),
        ("delta", delta, 1),
    ):
        lowest = 0 if name == "max_loss" else np.nextafter(0, 1)
        if value is not None and not (isinstance(value, Real) and lowest <= value < most):
            upper = "" if most == np.inf else f" and below {most}"
            raise UserError(
                f"{name} is {value!r}; give a number {'from' if lowest == 0 else 'above'} 0{upper}"
            )


def _number_labels(labels: Sequence[str | int], classes: list[str], texts: int) -> np.ndarray:
    """The numbers of the labels, int64 `[texts]`."""
    if len(labels) != texts or not texts:
        raise UserError(f"there are {texts} texts and {len(labels)} labels; give one for each text")
    numbers = number_words(classes)
    or_number = ", or its number from 0" if len(numbers) > len(classes) else ""
    found = []
    for position, label in enumerate(labels):
        word = str(label) if isinstance(label, str) or is_count(label) else None
        if word not in numbers:
            raise UserError(
                f"labels[{position}] is {label!r:.50}, which is no label of the cascade; give one "
                f"of {', '.join(map(repr, classes))}{or_number}"
            )
        found.append(numbers[word])
    return np.array(found, dtype=np.int64)


def choose_for_speedup(dev: Predictions, speedup: float) -> list[float]:
    """The thresholds whose speed-up is nearest to `speedup`, see `choice.Sweep.nearest`.

    dev: predictions whose costs are in units of the last member

    Raises UserError if no thresholds come within 20% of it.
    """
    swept = sweep(dev, CONFIDENCES, "accuracy", full_cost=1.0)
    nearest = swept.nearest(speedup)
    if abs(nearest.speedup / speedup - 1) > 0.2:
        raise UserError(
            f"speedup is {speedup:g}, but these members reach {swept.speedups.min():.2f} to "
            f"{swept.speedups.max():.2f}; choose from that range, or give a smaller first member"
        )
    return np.atleast_1d(nearest.slower).tolist()


def choose_for_loss(dev: Predictions, max_loss: float) -> list[float]:
    """The fastest thresholds with which the cascade loses at most `max_loss` on these texts.

    max_loss: of accuracy, as a share, against the last member
    Promises nothing of other texts; `promises.certify_threshold` does.
    """
    swept = sweep(dev, CONFIDENCES, "accuracy", full_cost=1.0)
    full = 100 * np.mean(dev.predicted[:, -1] == dev.labels)
    kept = swept.scores >= full - 100 * max_loss - 1e-9
    # Where no text leaves early, nothing is lost: a threshold of 1 is among the knobs.
    best = int(np.where(kept, swept.speedups, 0).argmax())
    return np.atleast_1d(swept.knobs[best]).tolist()
