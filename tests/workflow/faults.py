"""Breaks a running workflow again and again, and counts what is lost.

    make faults

Processes are killed at random moments, files are damaged, the disk is full. After each fault the
same command is given again; in the end the predictions and the evaluation must have the bytes of a
run that nothing happened to.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from cascadebert.core.checksums import remove
from tests.tiny import make_encoders, make_task
from tests.workflow.command import options
from tests.workflow.conftest import copy, small, write

RESULTS = Path("results/small")
EVALUATION = RESULTS / "evaluation/words"
# What every training of the small experiment leads to.
TARGETS = [str(EVALUATION / "exits.csv")]

# What may be damaged, and what is then made again, for which it is read.
READ_FOR = {
    "data/words/*": "tokens/words/bert-4",
    "tokens/words/bert-4/*.*": "predictions/words/{run}/seed0",
    "tokens/words/bert-4/tokenizer/*": "predictions/words/{run}/seed0",
    "difficulty/words/finetune-bert-2/*.parquet": "difficulty/words/finetune-bert-2.parquet",
    "models/words/finetune-bert-4/*/*": "predictions/words/deebert-bert-4/seed0",
    "predictions/words/{run}/*/*.*": "evaluation/words/exits.csv",
    "predictions/words/{run}/*/probes/*": "evaluation/words/probes.csv",
}


class Workflow:
    """The small experiment in a folder of its own, as far as `targets`.

    python: the command of the interpreter
    """

    def __init__(self, folder: Path, config: dict, targets: list[str], python: Sequence[str]):
        folder.mkdir(parents=True)
        self.folder, self.targets, self.python = folder, targets, python
        self.path = write(folder, config, make_task())
        self.log = folder / "log.txt"

    def start(self, *arguments: str, targets: list[str] | None = None) -> subprocess.Popen:
        command = [*self.python, "-m", "snakemake", *options(self.folder), "--configfile"]
        command += [str(self.path), "--rerun-incomplete", *arguments, *(targets or self.targets)]
        # A session of its own, as under a scheduler: what is killed is what we kill.
        with self.log.open("w") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def run(self, *arguments: str, targets: list[str] | None = None) -> int:
        return self.start(*arguments, targets=targets).wait()

    def unlock(self) -> None:
        """What a user has to do when Snakemake itself was killed."""
        assert self.run("--unlock") == 0, self.log.read_text()

    def jobs(self) -> dict[int, str]:
        """Process -> rule, of the scripts that run, whoever started them."""
        found = {}
        for process in psutil.process_iter(["cmdline"]):
            script = next((a for a in process.info["cmdline"] or [] if a.endswith(".py")), "")
            if script.startswith(str(self.folder / ".snakemake/scripts")):
                found[process.pid] = script.split(".")[-2].strip("0123456789_")
        return found


class Campaign:
    """Faults in runs of the small experiment, all of them in `folder`.

    untouched: the folder of a run that nothing happened to
    targets:   what the runs that are killed, or whose disk is full, have to make
    python:    the command of the interpreter; what is killed has to be a process of its own
    """

    def __init__(
        self,
        folder: Path,
        config: dict,
        untouched: Path,
        seed: int,
        targets: list[str] = TARGETS,
        python: Sequence[str] = (sys.executable,),
    ):
        self.folder, self.targets, self.random = folder, targets, random.Random(seed)
        self.python = python
        self.config = {**config, "save_seconds": 0.2}
        self.tried, self.survived = Counter(), Counter()
        self.untouched, self.expected = untouched, outcome(untouched)

    def prepare(self, folder: Path) -> Workflow:
        return Workflow(folder, self.config, self.targets, self.python)

    def judge(self, faults: Counter, workflow: Workflow) -> None:
        """Counts faults as survived if all that came out in the end is what it has to be."""
        self.tried += faults
        made = outcome(workflow.folder)
        if made and made.items() <= self.expected.items():
            self.survived += faults
        else:
            print(f"LOST: {dict(faults)}; see {workflow.folder}", flush=True)

    def kill(self, signals: list[signal.Signals]) -> None:
        """Sends these signals, each to a job three times out of four, else to Snakemake."""
        waiting = signals[::-1]
        while waiting:
            done = len(signals) - len(waiting)
            workflow = self.prepare(self.folder / f"killed-{done}")
            faults = Counter()
            while True:
                process = workflow.start("--retries", "20")
                while process.poll() is None and waiting:
                    time.sleep(self.random.uniform(0.2, 16))
                    jobs = workflow.jobs()
                    if process.poll() is not None or not jobs:
                        continue
                    pid = self.random.choice(list(jobs))
                    if self.random.random() < 0.25:
                        pid, jobs = process.pid, {process.pid: "scheduler"}
                    try:
                        os.kill(pid, waiting[-1])
                    except ProcessLookupError:
                        continue
                    faults[f"{waiting.pop().name} {jobs[pid]}"] += 1
                if process.wait() == 0:
                    break
                workflow.unlock()
                assert faults, workflow.log.read_text()
            self.judge(faults, workflow)
            print(f"kills: {len(signals) - len(waiting)} of {len(signals)}", flush=True)

    def corrupt(self, count: int) -> None:
        """Flips a bit of a file of a finished run or cuts its tail; the next run that reads it must
        name it, and the one after that make it, and what is read from it, again as it was."""
        for number in range(count):
            workflow = self.prepare(self.folder / f"corrupted-{number}")
            copy(self.untouched, workflow.folder)
            results = workflow.folder / RESULTS
            run = self.random.choice(sorted(p.name for p in results.glob("predictions/words/*")))
            pattern, reader = self.random.choice(list(READ_FOR.items()))
            files = [f for f in results.glob(pattern.format(run=run)) if not f.name.startswith(".")]
            path = self.random.choice(sorted(files))
            times, content = path.stat(), path.read_bytes()
            damaged = bytearray(content)
            cut = self.random.random() < 0.3
            if cut:
                del damaged[self.random.randrange(len(content)) :]
            else:
                damaged[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
            path.write_bytes(damaged)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk tells nobody
            made = results / reader.format(run=run)
            before = contents(made)
            remove(made)
            targets = [str(made.relative_to(workflow.folder))]
            noticed = workflow.run(targets=targets) != 0
            named = str(path.relative_to(workflow.folder)) in workflow.log.read_text()
            made_again = workflow.run(targets=targets) == 0
            same = path.read_bytes() == content and contents(made) == before
            if noticed and named and made_again and same:
                self.judge(Counter({"cut file" if cut else "flipped bit": 1}), workflow)
            else:
                print(f"NOT NOTICED: {path}\n{workflow.log.read_text()}", flush=True)
                self.tried["damaged file"] += 1
            print(f"damaged files: {number + 1} of {count}", flush=True)

    def fill_disk(self) -> None:
        """Runs on a disk that is too small, then on the same made larger."""
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
        try:
            workflow = self.prepare(disk / "full")
            workflow.log = self.folder / "full.txt"
            failed = workflow.run("--keep-going") != 0
            said = workflow.log.read_text()
            assert failed, said
            subprocess.run(["mount", "-o", "remount,size=1g", str(disk)], check=True)
            workflow.unlock()
            assert workflow.run() == 0, workflow.log.read_text()
            if "Error: no space left" in said:
                self.judge(Counter({"full disk": 1}), workflow)
            else:
                print(f"NOT SAID: {said}", flush=True)
                self.tried["full disk"] += 1
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)

    def report(self) -> str:
        rows = [f"{fault:24} {self.survived[fault]:4} of {n:4}" for fault, n in self.tried.items()]
        total = f"{self.survived.total()} of {self.tried.total()}"
        return "\n".join([*sorted(rows), f"survived, bytes identical: {total}"])


def outcome(folder: Path) -> dict[str, bytes]:
    """The bytes of all predictions and of the evaluation."""
    files = [*(folder / RESULTS / "predictions").rglob("*.npz")]
    files += (folder / EVALUATION).glob("*.csv")
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(files)}


def contents(path: Path) -> list[bytes]:
    """The bytes of a file, or of all files of a folder."""
    return [p.read_bytes() for p in sorted([path, *path.rglob("*")]) if p.is_file()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--terminations", type=int, default=20)
    parser.add_argument("--corruptions", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        config = small(make_encoders(folder / "encoders"), make_task())
        config["training"]["epochs"] = 8  # more of a training than its start is hit
        untouched = Workflow(folder / "untouched", config, TARGETS, [sys.executable])
        assert untouched.run() == 0, untouched.log.read_text()
        campaign = Campaign(folder, config, untouched.folder, arguments.seed)
        campaign.kill([signal.SIGKILL] * arguments.kills)
        campaign.kill([signal.SIGTERM] * arguments.terminations)
        campaign.corrupt(arguments.corruptions)
        campaign.fill_disk()
        print(campaign.report())
        sys.exit(campaign.survived != campaign.tried)


if __name__ == "__main__":
    main()
