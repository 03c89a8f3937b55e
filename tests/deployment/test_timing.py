"""The profile of a model's exits. How long they take is up to the machine."""

import numpy as np
import pytest

from cascadebert.deployment.timing import LENGTHS, time_exits
from cascadebert.systems.method import Run
from tests.tiny import untrained


@pytest.fixture(autouse=True)
def fewer_rounds(monkeypatch):
    monkeypatch.setattr("cascadebert.deployment.timing.ROUNDS", 2)


@pytest.mark.parametrize(
    ("run", "exits"),
    [
        (Run("pabee", "bert-4"), 4),
        (Run("deebert", "bert-4", parents=(Run("finetune", "bert-4"),)), 4),
        (Run("finetune", "bert-4"), 1),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 32])
def test_it_has_every_exit_at_every_length(run, exits, batch_size, encoders, splits, tmp_path):
    times = time_exits(untrained(run, encoders, tmp_path), splits["dev"], batch_size)
    lengths = times.groupby("tokens", sort=False)
    assert lengths.ngroups == min(LENGTHS, len(times) // exits)
    assert times["tokens"].is_monotonic_increasing
    assert all(of_length["exit"].tolist() == list(range(exits)) for _, of_length in lengths)
    assert lengths["share"].first().sum() == pytest.approx(1)
    assert (times["milliseconds"] > 0).all()
    assert all((np.diff(of_length["milliseconds"]) >= 0).all() for _, of_length in lengths)


def test_few_texts_are_enough(encoders, splits, tmp_path):
    data = splits["dev"].take(np.arange(2))
    times = time_exits(untrained(Run("finetune", "bert-4"), encoders, tmp_path), data, 32)
    assert times["share"].sum() == pytest.approx(1)
