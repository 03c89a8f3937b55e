"""Fixtures that several rooms' tests need, and how the tests are ordered and share the machine.

Fixtures import what they need themselves: pytest-xdist imports this file once more than it has
workers, and the libraries take seconds.
"""

import gc
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

if TYPE_CHECKING:
    import torch

    from cascadebert.data.task import Task
    from cascadebert.data.tokens import TokenizedSplit

# For the libraries, which are imported later.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_DEACTIVATE_ASYNC_LOAD", "1")  # tiny models load in half the time
# A machine that is busy with other tests takes its time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_modifyitems(items) -> None:
    """Marks tests that run a workflow or an encoder as slow, and puts long files first.

    Then no parallel worker is left with a long file at the end. Slurm's comes before all: it takes
    the longest, and mostly waits. Workflows follow, then trainings.
    """
    first = ("test_slurm.py", "workflow", "training")
    tests = Path(__file__).parent
    parts = {item: item.path.relative_to(tests).parts for item in items}
    for item in items:
        if "workflow" in parts[item] or "encoders" in item.fixturenames:
            item.add_marker("slow")
    items.sort(key=lambda item: [part not in parts[item] for part in first])


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays, so that no collection needs to go through it


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that all workers of pytest-xdist share, made by the first that needs it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            draft = root / f"{name}.draft"
            draft.mkdir()
            make(draft)
            draft.rename(folder)
    return folder


@pytest.fixture(scope="session")
def encoders(tmp_path_factory) -> dict[str, str]:
    """The folders of encoders of 2 to 12 layers, by name."""
    from tests.tiny import make_encoders

    folder = made_once(tmp_path_factory, "encoders", make_encoders)
    return {path.name: str(path) for path in sorted(folder.iterdir())}


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """An empty disk of 100 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def task() -> "Task":
    from tests.tiny import make_task

    return make_task()


@pytest.fixture(scope="session")
def splits(task, encoders) -> "dict[str, TokenizedSplit]":
    """The task's token ids; all encoders share a vocabulary."""
    from cascadebert.data.tokens import tokenize
    from cascadebert.encoders.loading import load_tokenizer

    tokenizer = load_tokenizer(encoders["bert-4"])
    return {split: tokenize(table, tokenizer, 64) for split, table in task.splits.items()}


@pytest.fixture(scope="session")
def batch(splits) -> "tuple[dict[str, torch.Tensor], torch.Tensor]":
    """The inputs of 12 sentences of several lengths, and their labels."""
    import numpy as np
    import torch

    rows = np.arange(12)
    return splits["dev"].batch(rows), torch.from_numpy(splits["dev"].labels[rows])
