"""The whole state of a training, which goes on after an interruption as if there was none."""

import hashlib
import json
import logging
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cascadebert.core.files import File, replacing

log = logging.getLogger(__name__)

GO_ON_LATER = os.EX_TEMPFAIL  # the exit status of a job that was asked to stop and can go on
SAVE_SECONDS = 60.0
# Saving takes at most about this share of the time, however large the state and slow the disk.
SAVE_SHARE = 1 / 50

Tensors = dict[str, torch.Tensor]


class Checkpoint:
    """A file with the state of one training.

    It is written at most every `seconds`, less often if writing takes long, and once more when the
    process is asked to stop (`stopping_when_asked`). A damaged file is as good as none: the
    training starts over.
    """

    def __init__(self, path: File, seconds: float = SAVE_SECONDS):
        self.path, self.seconds = Path(path), seconds
        self.saved = time.monotonic()
        self.duration = 0.0  # of the last save, in seconds

    def due(self) -> bool:
        interval = max(self.seconds, self.duration / SAVE_SHARE)
        return _asked_to_stop or time.monotonic() - self.saved >= interval

    def save(self, parts: dict[str, Tensors], about: dict[str, Any]) -> None:
        """Writes the state; then ends the process if it was asked to stop.

        parts: tensors by name, in groups
        about: anything else, as JSON can say it
        """
        start = time.monotonic()
        tensors = {
            # Cloned, since safetensors refuses tensors that share memory.
            f"{part}/{name}": tensor.detach().cpu().clone().contiguous()
            for part, group in parts.items()
            for name, tensor in group.items()
        }
        metadata = {"about": json.dumps(about)}
        metadata["sha256"] = _digest(tensors, metadata["about"])
        with replacing(self.path) as draft:
            save_file(tensors, draft, metadata=metadata)
        self.saved = time.monotonic()
        self.duration = self.saved - start
        if _asked_to_stop:
            log.info("asked to stop: the state is in %s, and the next start goes on", self.path)
            raise SystemExit(GO_ON_LATER)

    def load(self) -> tuple[dict[str, Tensors], dict[str, Any]] | None:
        """What `save` was given; None if there is no state. A group that is missing is empty."""
        if not self.path.exists():
            return None
        groups: dict[str, Tensors] = defaultdict(dict)
        try:
            with safe_open(self.path, "pt") as stored:
                metadata = stored.metadata()
                tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
            if metadata["sha256"] != _digest(tensors, metadata["about"]):
                raise ValueError("its checksum is another")
            about = json.loads(metadata["about"])
            for key, tensor in tensors.items():
                part, _, name = key.partition("/")
                groups[part][name] = tensor
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged (%s): the training starts over", self.path, error)
            return None
        log.info("going on from %s", self.path)
        return groups, about

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _digest(tensors: Tensors, about: str) -> str:
    found = hashlib.sha256(about.encode())
    for key in sorted(tensors):
        found.update(f"{key} {tensors[key].dtype} {list(tensors[key].shape)}".encode())
        found.update(tensors[key].reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimizer's moments and counts, by number of the parameter."""
    return {
        f"{number}/{name}": value
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Undoes `optimizer_tensors`; learning rates stay as they are."""
    moments: dict[int, Tensors] = {}
    for key, value in tensors.items():
        number, _, name = key.partition("/")
        moments.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def random_states(where: torch.device) -> Tensors:
    """Returns the states of torch's random generators, from which dropout draws."""
    states = {"cpu": torch.get_rng_state()}
    if where.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(where)
    return states


def restore_random_states(states: Tensors, where: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if where.type == "cuda" and "cuda" in states:  # a state that a CPU saved has none
        torch.cuda.set_rng_state(states["cuda"], where)


_asked_to_stop = False


@contextmanager
def stopping_when_asked() -> Iterator[None]:
    """Within it SIGTERM and SIGINT make a training save its state and stop.

    SIGTERM is a scheduler's warning, SIGINT is Ctrl-C. Other work goes on to its end before the
    process stops.
    """

    def ask(signum: int, frame: FrameType | None) -> None:
        global _asked_to_stop
        _asked_to_stop = True

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = {which: signal.signal(which, ask) for which in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
    if _asked_to_stop:
        raise SystemExit(GO_ON_LATER)
