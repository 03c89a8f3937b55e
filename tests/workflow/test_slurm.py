"""The workflow on a real Slurm of two nodes, with a node drained and jobs taken away meanwhile."""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.workflow.cluster import Cluster, missing, run, wait
from tests.workflow.command import ROOT, snakemake
from tests.workflow.conftest import read_all, write

# Trainings that label difficulty are often over before Slurm takes their job away.
TRAINS = re.compile("rule_train")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if why := missing():
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    with Cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started


def test_jobs_lost_on_a_cluster_end_with_the_bytes_of_the_local_run(
    cluster, finished, tmp_path, config, task
):
    # A state after every step, so that whatever is taken away has one to go on from.
    systems = {key: config["systems"][key] for key in ("cascadebert", "plain")}
    difficulty = {**config["difficulty"], "margins": [0.5]}  # the fewest trainings that do
    changed = {"systems": systems, "replicates": 1, "save_seconds": 0, "difficulty": difficulty}
    path = write(tmp_path, {**config, **changed}, task)
    results = tmp_path / "results" / "small"
    prepared = snakemake(tmp_path, "results/small/tokens/words/bert-4", "--configfile", str(path))
    assert prepared.returncode == 0, prepared.stderr
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["results/small/evaluation/words/exits.csv", "--directory", str(tmp_path)]
    command += ["--configfile", str(path)]
    command += ["--profile", str(ROOT / "profiles" / "slurm")]
    # This Slurm keeps no accounts, and its jobs take seconds.
    command += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks"]
    command += ["5", "--latency-wait", "5"]
    with (tmp_path / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with a_training_job(cluster, results, process) as job:
            run("scontrol", "update", f"nodename={job.node}", "state=drain", "reason=test")
            run("scontrol", "requeue", job.id)
        wait(lambda: job.id not in [j.id for j in cluster.running()], "the end of the job", 60)
        with a_training_job(cluster, results, process, besides=job) as other:
            assert other.node != job.node
            run("scancel", other.id)
        run("scontrol", "update", f"nodename={job.node}", "state=resume")
        assert process.wait(600) == 0, (tmp_path / "log.txt").read_text()
    finally:
        process.kill()
    said = (tmp_path / "log.txt").read_text()
    assert f"SLURM-job '{other.id}' failed, SLURM status is: 'CANCELLED'" in said
    logs = [log.read_text() for log in (results / "logs").glob("*/words/*/*.log")]
    assert sum("going on from" in log for log in logs) >= 2
    made = read_all(results / "predictions")
    assert len(made) == 3 * 2 * 2  # runs, splits, exits and their probes
    assert made.items() <= read_all(finished / "results/small/predictions").items()
    assert "cascadebert" in (results / "evaluation/words/exits.csv").read_text()


@contextmanager
def a_training_job(cluster, results, process, besides=None):
    """A job in the middle of a training; while the context lasts, every training is halted.

    besides: a job that is not meant
    """

    def writes(job, log) -> bool:
        return TRAINS.match(job.comment) and job.comment.endswith(f"_{log.parent.name}")

    while True:
        assert process.poll() is None, "the workflow ended before a training could be interrupted"
        found = (results / "logs/train/words").glob("*/*.log")
        logs = [log for log in found if not (besides and writes(besides, log))]
        if any(map(is_in_second_epoch, logs)):  # else Slurm, which is slow, need not be asked
            with halted(results):
                training = [log for log in logs if is_in_second_epoch(log)]
                for job in cluster.running():
                    if any(writes(job, log) for log in training):
                        yield job
                        return
        time.sleep(0.02)


def is_in_second_epoch(log) -> bool:
    lines = log.read_text().splitlines()
    return bool(lines) and "epoch 1: dev" in lines[-1]


@contextmanager
def halted(results):
    """Halts the processes that train, so that none ends between a look at it and its fate."""
    folder = str(results.parents[1] / ".snakemake/scripts")
    found = [
        found
        for found in psutil.process_iter(["cmdline"])
        if any(part.startswith(folder) for part in found.info["cmdline"] or [])
    ]
    for each in found:
        with suppress(psutil.NoSuchProcess):
            each.suspend()
    try:
        yield
    finally:
        for each in found:
            with suppress(psutil.NoSuchProcess):
                each.resume()
