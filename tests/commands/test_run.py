"""`cascadebert run` starts the workflow, and says how to go on where it stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from cascadebert.commands import interruptible
from cascadebert.commands.main import main
from tests.tiny import sentences
from tests.workflow.command import ROOT, warm_server

pytestmark = pytest.mark.slow


@pytest.fixture
def configured(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    sentences(60, 4)[["text", "label"]].to_csv("tickets.csv", index=False)
    assert main(["init", "tickets.csv"]) == 0
    capfd.readouterr()
    return tmp_path / "tickets.yaml"


@pytest.fixture
def warm(monkeypatch):
    """`cascadebert run` starts Snakemake in a fork that has imported it."""
    monkeypatch.setattr(sys, "executable", str(warm_server().python))


def test_what_init_writes_can_be_planned(configured, warm, capfd):
    assert main(["run", configured.name, "--cores", "1", "--dry-run"]) == 0
    said = "".join(capfd.readouterr())
    assert "table2_main" in said
    assert "fetch_encoder" not in said  # the embedded encoders need no hub


def test_options_of_snakemake_are_passed_on(configured, warm, capfd):
    target = "results/tickets/data/tickets"
    assert main(["run", configured.name, "--cores", "1", "--", target, "-n"]) == 0
    said = "".join(capfd.readouterr())
    assert "prepare_task" in said
    assert "table2_main" not in said
    assert not (configured.parent / target).exists()


def test_targets_are_made_without_a_report(configured, warm, capfd):
    target = "results/tickets/data/tickets"
    assert main(["run", configured.name, "--cores", "1", "--", target]) == 0
    assert (configured.parent / target).exists()
    assert "report is" not in capfd.readouterr().out


def test_unlocking_an_unfinished_run_makes_no_report(configured, warm, capfd):
    target = "results/tickets/data/tickets"
    locks = configured.parent / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text(f"{target}\n")  # as a killed Snakemake leaves it
    assert main(["run", configured.name, "--cores", "1", "--", target]) == 1
    assert "cannot be locked" in capfd.readouterr().err
    assert main(["run", configured.name, "--cores", "1", "--", "--unlock"]) == 0
    assert "report is" not in capfd.readouterr().out
    assert not list(locks.glob("*.lock"))


def test_a_run_that_fails_says_how_to_go_on(configured, warm, capfd):
    (configured.parent / "tickets.csv").unlink()
    assert main(["run", configured.name, "--cores", "1"]) == 1
    said = capfd.readouterr().err
    assert "to go on, give `cascadebert run tickets.yaml` again" in said
    assert "Traceback" not in said


def test_a_wrong_configuration_starts_nothing(configured, capfd):
    config = yaml.safe_load(configured.read_text())
    configured.write_text(yaml.safe_dump(config | {"replicates": 0}))
    assert main(["run", configured.name]) == 1
    said = capfd.readouterr().err
    assert said.startswith("cascadebert: configuration, replicates: 0 is less than")
    assert main(["run", configured.name, "--cores", "0"]) == 1
    assert not (configured.parent / ".snakemake").exists()


def run_interruptible(folder: Path, module: str) -> subprocess.CompletedProcess:
    """Runs a module of a folder, for Ctrl-C to end."""
    return subprocess.run(
        [sys.executable, interruptible.__file__, module],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_ctrl_c_does_not_meet_a_pool_that_starts_a_thread(tmp_path):
    """Its shutdown would not wait for the thread, and the workflow would end under a job."""
    (tmp_path / "pool.py").write_text("""
import os, signal, threading, time
from concurrent.futures import ThreadPoolExecutor

start = threading.Thread.start

def start_and_interrupt(thread):
    start(thread)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)

pool = ThreadPoolExecutor()
threading.Thread.start = start_and_interrupt
try:
    pool.submit(time.sleep, 1)
    time.sleep(60)
finally:
    before = time.monotonic()
    pool.shutdown()
    print("waited" if time.monotonic() - before > 0.3 else "did not wait")
""")
    done = run_interruptible(tmp_path, "pool")
    assert done.stdout == "waited\n", done.stderr
    assert done.returncode == interruptible.INTERRUPTED


def test_ctrl_c_is_not_lost_in_a_callback(tmp_path):
    """Python drops the exceptions of a weak reference's callback."""
    (tmp_path / "callback.py").write_text(
        "import os, signal, time, weakref\n"
        "def forget(reference):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.5)\n"
        "thing = type('Thing', (), {})()\n"
        "reference = weakref.ref(thing, forget)\n"
        "del thing\n"
        "time.sleep(30)\n"
    )
    done = run_interruptible(tmp_path, "callback")
    assert (done.returncode, done.stderr) == (interruptible.INTERRUPTED, "")


@pytest.mark.parametrize("when", ["Building DAG", "prepare_task"])
def test_ctrl_c_says_how_to_go_on(configured, when):
    """At any time, and where it is pressed again while the run is ending."""
    log = configured.parent / "log.txt"
    command = [sys.executable, "-m", "cascadebert", "run", configured.name, "--cores", "1"]
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=configured.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
            start_new_session=True,  # its group has what a terminal would send the signal to
            # A shell lets the processes that it starts in the background ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    while when not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)
    assert process.wait(60) == 130, log.read_text()
    said = log.read_text()
    assert said.splitlines()[-1] == (
        "What was finished is kept; to go on, give `cascadebert run tickets.yaml` again."
    )
    assert "Traceback" not in said, said
    locks = configured.parent / ".snakemake/locks"
    assert not locks.exists() or not list(locks.iterdir())
