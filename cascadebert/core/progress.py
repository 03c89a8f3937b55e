"""Logs the progress of a long job, with an estimate of the time left."""

import logging
import time

from tqdm import tqdm

log = logging.getLogger(__name__)

SECONDS = 10


class Progress:
    """Counts `total` steps of the job `name`, and logs the count every SECONDS.

    done: steps that an earlier process did

    A bar that redraws itself would not do: several jobs share a terminal, and logs are files.
    """

    def __init__(self, name: str, total: int, done: int = 0):
        self.name, self.total = name, total
        self.done = self.initial = done
        self.start = self.last = time.monotonic()

    def step(self, note: str = "") -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.last >= SECONDS or self.done == self.total:
            self.last = now
            meter = tqdm.format_meter(
                self.done, self.total, now - self.start, initial=self.initial, ascii=True, ncols=60
            )
            log.info("%s %s %s", self.name, meter, note)
