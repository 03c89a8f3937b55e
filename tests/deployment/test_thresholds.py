"""Thresholds for members that a user has: for a speed-up, for a loss, and with a promise."""

import math
import re

import numpy as np
import pytest
from scipy.stats import binom

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.folder import OperatingPoint
from cascadebert.evaluation.promises import STEPS, bound_chance, certify_threshold
from cascadebert.systems.exits import first_confident


@pytest.fixture
def cascade(trained) -> Cascade:
    return Cascade.from_pretrained(trained[0], max_length=64)


@pytest.fixture(scope="module")
def dev(task):
    table = task.splits["dev"]
    return table["text"].tolist(), [task.labels[number] for number in table["label"]]


def test_two_classifiers_are_joined_in_three_lines(trained, dev, task, tmp_path):
    cascade = Cascade.from_pretrained(trained[0], max_length=64)
    point = cascade.fit_thresholds(*dev, speedup=1.2)
    answers = cascade(dev[0])
    assert 4 / answers.layers.mean() == pytest.approx(1.2, rel=0.05)
    assert point.measured["dev"]["speedup"] == pytest.approx(4 / answers.layers.mean())
    right = (answers.labels == np.array(dev[1])).mean()
    assert point.measured["dev"]["score"] == pytest.approx(100 * right)
    assert set(point.measured["dev"]) <= set(re.findall(r"\w+", str(OperatingPoint.__doc__)))
    cascade.save_pretrained(tmp_path / "cascade")
    loaded = Cascade.from_pretrained(tmp_path / "cascade", speedup=1.2)
    assert (loaded(dev[0]).exits == answers.exits).all()


def test_fitted_thresholds_replace_those_for_the_same_aim(trained, dev, tmp_path):
    """And are taken where none are asked for."""
    cascade = Cascade.from_pretrained(trained[0], max_length=64)
    earlier = [OperatingPoint("torch", [0.5], 1.2), OperatingPoint("onnx", [0.5], 1.2)]
    cascade.points = [*earlier, OperatingPoint("torch", [0.4], 2.0)]
    fitted = cascade.fit_thresholds(*dev, speedup=1.2)
    assert cascade.points == [fitted, earlier[1], cascade.points[2]]
    cascade.save_pretrained(tmp_path / "cascade")
    for speedup in (None, 1.2):
        loaded = Cascade.from_pretrained(tmp_path / "cascade", speedup=speedup)
        assert loaded.thresholds == fitted.thresholds != [0.5]
    on_these = cascade.fit_thresholds(*dev, max_loss=0.05)
    assert on_these.promise is None  # of other texts, nothing is promised
    assert cascade.points == [on_these, fitted, earlier[1], cascade.points[3]]


@pytest.mark.parametrize(
    "aims", [{"speedup": np.int64(1)}, {"max_loss": np.float32(0.5), "delta": 0.1}]
)
def test_numbers_of_numpy_can_be_saved(cascade, dev, tmp_path, aims):
    point = cascade.fit_thresholds(*dev, **aims)
    cascade.save_pretrained(tmp_path / "cascade")
    loaded = Cascade.from_pretrained(tmp_path / "cascade", speedup=aims.get("speedup"))
    assert loaded.thresholds == point.thresholds


def test_labels_may_be_numbers(cascade, dev, task):
    by_name = cascade.fit_thresholds(*dev, speedup=1.2)
    numbers = task.splits["dev"]["label"]
    assert cascade.fit_thresholds(dev[0], numbers, speedup=1.2) == by_name
    assert cascade.fit_thresholds(dev[0], numbers.to_numpy(dtype=int), speedup=1.2) == by_name


def test_numbers_are_names_where_a_name_is_a_number(cascade, dev):
    for member in cascade.members:
        member.config.id2label = {0: "2", 1: "10"}
    named = Cascade([m.model for m in cascade.members], cascade.tokenizers, None, 64)
    stars = {"negative": "2", "positive": "10"}
    words = [stars[name] for name in dev[1]]
    by_name = named.fit_thresholds(dev[0], words, speedup=1.2)
    assert named.fit_thresholds(dev[0], np.array(words, dtype=int), speedup=1.2) == by_name
    with pytest.raises(UserError, match=r"labels\[0\] is 0, .* give one of '2', '10'$"):
        named.fit_thresholds(dev[0], [0, *words[1:]], speedup=1.2)


@pytest.mark.parametrize("max_loss", [0.0, 0.05, 0.5])
def test_the_fastest_thresholds_of_small_loss_are_taken(cascade, dev, max_loss):
    point = cascade.fit_thresholds(*dev, max_loss=max_loss)
    measured = point.measured["dev"]
    assert measured["full_score"] - measured["score"] <= 100 * max_loss + 1e-9
    found = cascade.compute_all(dev[0])
    right = found.argmax(axis=2) == (np.array(dev[1]) == "positive")[:, None]
    speedups = []
    for threshold in np.linspace(0.5, 1, 2001):
        exits = first_confident(found.max(axis=2), threshold)
        if right[:, 1].mean() - right[np.arange(len(right)), exits].mean() <= max_loss + 1e-9:
            speedups.append(4 / np.array([2, 6])[exits].mean())
    assert measured["speedup"] == pytest.approx(max(speedups))


@pytest.mark.parametrize(
    ("aims", "message"),
    [
        ({}, "give one of `speedup` and `max_loss`"),
        ({"speedup": 2, "max_loss": 0.1}, "give one of `speedup` and `max_loss`"),
        ({"speedup": 2, "delta": 0.1}, "`delta` belongs to `max_loss`"),
        ({"speedup": 9}, r"speedup is 9, but these members reach 0\.67 to 2\.00"),
        ({"speedup": 0}, "speedup is 0; give a number above 0$"),
        ({"speedup": math.nan}, "speedup is nan; give a number"),
        ({"speedup": "fast"}, "speedup is 'fast'; give a number"),
        ({"max_loss": 1}, "max_loss is 1; give a number from 0 and below 1"),
        ({"max_loss": 0.1, "delta": 0}, r"delta is 0; give a number above 0 and below 1"),
    ],
)
def test_what_cannot_be_aimed_at_is_told(cascade, dev, aims, message):
    with pytest.raises(UserError, match=message):
        cascade.fit_thresholds(*dev, **aims)
    assert cascade.thresholds is None


def test_labels_that_are_none_are_told(cascade, dev):
    for labels, message in [
        (dev[1][1:], "there are 80 texts and 79 labels"),
        (
            ["good", *dev[1][1:]],
            r"labels\[0\] is 'good', .* one of 'negative', 'positive', or its num",
        ),
        ([*dev[1][:-1], None], r"labels\[79\] is None"),
        ([2, *dev[1][1:]], r"labels\[0\] is 2"),
        ([-1, *dev[1][1:]], r"labels\[0\] is -1"),
        ([True, *dev[1][1:]], r"labels\[0\] is True"),
    ]:
        with pytest.raises(UserError, match=message):
            cascade.fit_thresholds(dev[0], labels, speedup=1.2)
    with pytest.raises(UserError, match="there are 0 texts and 0 labels"):
        cascade.fit_thresholds([], [], speedup=1.2)
    one = Cascade([cascade.members[0]], [cascade.tokenizers[0]], None, 64)
    with pytest.raises(UserError, match="one member, and so no threshold"):
        one.fit_thresholds(*dev, speedup=1.2)


# --- Promises ---


def test_the_bound_is_a_valid_p_value():
    """At the edge of the hypothesis, P(p <= d) <= d: by the exact distribution of the counts."""
    for texts, most in ((50, 0.1), (300, 0.02)):
        # Losses of 0 or 1 alone, expected loss `most`: the count of losses is binomial.
        losses = np.arange(texts + 1)
        p = bound_chance(np.stack([0 * losses, texts - losses, losses], axis=-1), most)
        chance = binom.pmf(losses, texts, most)
        for delta in (0.01, 0.05, 0.1, 0.3):
            assert chance[p <= delta].sum() <= delta
        assert (np.diff(p) >= -1e-12).all()
    assert bound_chance(np.array([0, 1000, 0]), 0.01) < 0.001  # it has power
    assert bound_chance(np.array([0, 100, 0]), 0.01) > 0.1
    assert bound_chance(np.array([10, 490, 0]), 0.0) < 0.05  # gains count


def test_a_certified_threshold_is_the_last_of_those_that_pass():
    """By a loop over the sequence, which stops at the first that fails."""
    samples = []
    for seed, gap in enumerate((0.0, 0.5, 1.0)):
        rows = np.random.default_rng(seed).integers(POPULATION, size=300)
        samples.append(make_predictions(*(part[rows] for part in draw_world(gap))))
    # Gains below 0.7 make up for the losses from 0.8 to 0.9: low thresholds pass again.
    confidence = np.linspace(0.5, 0.999, 300)
    small, large = abs(confidence - 0.85) > 0.05, confidence > 0.7
    samples.append(make_predictions(confidence, small, large))
    for dev in samples:
        right = (dev.predicted == 1).astype(int)
        for most in (0.0, 0.02, 0.3):
            expected = 1.0
            for threshold in 1 - np.geomspace(1e-4, 0.5, STEPS):
                lost = right[:, 1] - np.where(dev.confidence[:, 0] > threshold, *right.T)
                if bound_chance(np.array([(lost == of).sum() for of in (-1, 0, 1)]), most) > 0.1:
                    break
                expected = threshold
            assert certify_threshold(dev, most, 0.1) == expected


POPULATION = 200_000


def draw_world(gap: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence of the small model, and whether each model is right, for a population of texts.

    gap: how much more often the large model is right where the small one is not confident
    """
    draw = np.random.default_rng(5)
    confidence = draw.uniform(0.5, 1.0, POPULATION)
    small = draw.random(POPULATION) < confidence - gap * (1 - confidence)
    large = draw.random(POPULATION) < 0.5 + confidence / 2
    return confidence, small, large


def make_predictions(confidence, small, large) -> Predictions:
    """Two members; gold labels are 1, so that a right answer is 1."""
    probability = np.stack([np.where(small, confidence, 1 - confidence), np.where(large, 0.9, 0.1)])
    logits = np.log(np.stack([1 - probability, probability], axis=-1)).transpose(1, 0, 2)
    size = len(confidence)
    return Predictions(logits, np.array([2.0, 14.0]), np.arange(size).astype(str), np.ones(size))


@pytest.mark.parametrize(
    ("gap", "texts", "max_loss", "delta"),
    [(0.5, 500, 0.02, 0.1), (0.0, 1000, 0.01, 0.1), (1.0, 300, 0.05, 0.2)],
)
def test_promises_are_kept_as_often_as_promised(gap, texts, max_loss, delta):
    """1,000 development sets from a population whose true losses are known."""
    confidence, small, large = draw_world(gap)
    order = np.argsort(-confidence)
    # The true loss if the n most confident texts leave early.
    lost = np.cumsum(large[order].astype(int) - small[order]) / POPULATION
    draw = np.random.default_rng(7)
    violations, shares = 0, []
    for _ in range(1000):
        rows = draw.integers(POPULATION, size=texts)
        sample = make_predictions(confidence[rows], small[rows], large[rows])
        threshold = certify_threshold(sample, max_loss, delta)
        leaving = np.searchsorted(-confidence[order], -threshold, side="left")
        violations += bool(leaving) and lost[leaving - 1] > max_loss
        shares.append(leaving / POPULATION)
    assert violations < 1000 * delta
    assert np.mean(shares) > 0.1  # the promise is not kept by doing nothing


def test_a_promise_can_be_asked_for_and_too_few_texts_promise_nothing(cascade, dev):
    point = cascade.fit_thresholds(*dev, max_loss=0.3, delta=0.1)
    assert point.promise == {"max_loss": 0.3, "delta": 0.1}
    assert point.measured["dev"]["speedup"] > 2 / 3
    kept = cascade.fit_thresholds(dev[0], dev[1], max_loss=0.001, delta=0.1)
    assert kept.thresholds == [1.0]  # no text leaves early
    assert cascade(dev[0]).exits.all()
