"""GPUs are handed out with file locks, which hold between processes: so here are many processes.

The GPUs are names only, of which nothing but CUDA would know that they are none.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cascadebert.core.errors import UserError
from cascadebert.training import gpus

pytestmark = pytest.mark.slow

# Says in the journal what it waits for, takes and gives back; holds its slot for so many seconds.
JOB = """
import logging, os, sys, time
from cascadebert.training.gpus import take_slot
logging.basicConfig(level=logging.INFO, format="%(message)s")
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def say(*words):
    os.write(journal, (" ".join(map(str, words)) + "\\n").encode())
slots, seconds, names = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4].split(",")
say("wait", os.getpid())
gpu = take_slot(slots, names, poll_seconds=0.05)
assert os.environ["CUDA_VISIBLE_DEVICES"] == gpu
say("take", os.getpid(), gpu)
time.sleep(seconds)
say("give", os.getpid(), gpu)
"""


class Jobs:
    """Processes that take slots on one machine, of which the folder is the temporary one."""

    def __init__(self, folder: Path):
        self.folder, self.journal, self.running = folder, folder / "journal", []

    def start(self, slots: int, seconds: float, names: str = "a,b") -> subprocess.Popen:
        command = [sys.executable, "-c", JOB, str(self.journal), str(slots), str(seconds), names]
        environment = {**os.environ, "TMPDIR": str(self.folder)}
        pipe = subprocess.PIPE
        job = subprocess.Popen(command, env=environment, stderr=pipe, text=True)
        self.running.append(job)
        return job

    def events(self) -> list[list[str]]:
        """[what, process] or [what, process, GPU], in order."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [line.split() for line in text.splitlines()]

    def gpu_of(self, job: subprocess.Popen, seconds: float = 30) -> str:
        """The GPU that a job gets within so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for what, pid, *gpu in self.events():
                if what == "take" and pid == str(job.pid):
                    return gpu[0]
            time.sleep(0.02)
        raise TimeoutError

    def kill(self, job: subprocess.Popen) -> None:
        job.send_signal(signal.SIGKILL)
        job.wait()


@pytest.fixture
def jobs(tmp_path):
    found = Jobs(tmp_path)
    yield found
    for job in found.running:
        job.kill()
        job.wait()


def test_no_slot_has_two_jobs_and_none_is_idle_while_a_job_waits(jobs):
    holders = [jobs.start(2, seconds=60) for _ in range(4)]
    assert Counter(map(jobs.gpu_of, holders)) == {"a": 2, "b": 2}
    crowd = [jobs.start(2, seconds=0.5) for _ in range(16)]
    while len(jobs.events()) < 4 * 2 + 16:  # all have asked
        time.sleep(0.02)
    assert sum(what == "take" for what, *_ in jobs.events()) == 4
    for holder in holders:
        jobs.kill(holder)
    assert [job.wait(60) for job in crowd] == [0] * 16

    running, seen = Counter(), []
    for what, _, gpu in jobs.events()[4 * 2 + 16 :]:
        running[gpu] += {"take": 1, "give": -1}[what]
        seen.append(dict(running))
    assert max(count for running in seen for count in running.values()) == 2
    assert {"a": 2, "b": 2} in seen
    assert running.total() == 0


def test_jobs_spread_before_they_share(jobs):
    started, order = [], []
    for _ in range(4):
        started.append(jobs.start(3, seconds=60))
        order.append(jobs.gpu_of(started[-1]))
    assert order == ["a", "b", "a", "b"]
    # Both leave the second GPU: the next two go there, whatever the numbers of their slots.
    jobs.kill(started[1])
    jobs.kill(started[3])
    for _ in range(2):
        started.append(jobs.start(3, seconds=60))
        assert jobs.gpu_of(started[-1]) == "b"


def test_a_slot_of_a_killed_job_goes_to_the_one_that_waits(jobs):
    holder = jobs.start(1, seconds=60, names="a")
    assert jobs.gpu_of(holder) == "a"
    waiting = jobs.start(1, seconds=0, names="a")
    with pytest.raises(TimeoutError):
        jobs.gpu_of(waiting, seconds=2)
    jobs.kill(holder)
    assert jobs.gpu_of(waiting) == "a"
    assert waiting.wait(30) == 0
    said = waiting.stderr.read()
    assert said.count("waiting for a GPU") == 1
    assert "GPU a" in said


def test_a_job_that_waits_for_one_gpu_leaves_the_others_to_others(jobs):
    jobs.gpu_of(jobs.start(1, seconds=60, names="a"))
    jobs.start(1, seconds=60, names="a")
    assert jobs.gpu_of(jobs.start(1, seconds=60, names="a,b")) == "b"


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A driver that lists two GPUs."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf 'GPU-5e7a\\nGPU-c0de\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (None, ["GPU-5e7a", "GPU-c0de"]),
        ("1", ["GPU-c0de"]),
        ("1, 0,1", ["GPU-c0de", "GPU-5e7a"]),
        ("GPU-c", ["GPU-c0de"]),
        ("MIG-77,0", ["MIG-77", "GPU-5e7a"]),
        ("0,-1,1", ["GPU-5e7a"]),
        ("", []),
    ],
)
def test_a_gpu_has_one_name_however_it_is_named(driver, monkeypatch, named, found):
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus.list_gpus() == found


def test_without_a_driver_names_are_taken_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert gpus.list_gpus() == ["0", "1"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus.list_gpus() == []


def test_a_gpu_that_is_not_there_is_refused(driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    with pytest.raises(UserError, match="names GPU 2, but nvidia-smi lists 2"):
        gpus.list_gpus()
    with pytest.raises(UserError, match="has none"):
        gpus.take_slot(1, [])


def test_importing_what_uses_gpus_does_not_ask_cuda_for_them():
    """CUDA would not heed a CUDA_VISIBLE_DEVICES that is set after that."""
    code = """
import torch
def asked(*arguments):
    raise AssertionError("CUDA was asked for GPUs")
for name in ("is_available", "device_count", "init", "_lazy_init"):
    setattr(torch.cuda, name, asked)
import cascadebert.training.stages, cascadebert.training.store, cascadebert.training.representations
import cascadebert.pretraining.family
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder to another user takes root")
def test_another_users_folder_of_locks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus.tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"cascadebert-gpus-{os.getuid()}"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(UserError, match="belongs to another user; set TMPDIR"):
        gpus.take_slot(1, ["GPU-0"])
