"""A cascade as `predict` and `explain` load it."""

from pathlib import Path

import pytest

from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.folder import OperatingPoint
from tests.deployment.conftest import trained  # noqa: F401


@pytest.fixture(scope="session")
def model(trained, tmp_path_factory) -> Path:  # noqa: F811
    cascade = Cascade.from_pretrained(trained[0], 0.9, max_length=12)
    promise = {"max_loss": 0.02, "delta": 0.1}
    cascade.points = [
        OperatingPoint("torch", [0.9], 1.5),
        OperatingPoint("torch", [0.7], 2.0),
        OperatingPoint("torch", [0.8], promise=promise),
    ]
    folder = tmp_path_factory.mktemp("model") / "model"
    cascade.save_pretrained(folder)
    return folder
