"""A real Slurm on the loopback interface: munge, a controller and two nodes of this machine."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

CONFIGURATION = Path("/etc/slurm/slurm.conf")  # SLURM_CONF does not reach the steps of a job
NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")

# A partition each for jobs with and without a GPU. The GPUs are handed out, but are not there.
TEMPLATE = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=17002
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
ReturnToService=2
KillWait=20
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17003 CPUs=5 RealMemory=32000 Gres=gpu:1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=17004 CPUs=5 RealMemory=32000 Gres=gpu:1
PartitionName=cpu Nodes=n1,n2 Default=YES
PartitionName=gpu Nodes=n1,n2
"""


def missing() -> str | None:
    """Why no cluster can be started here; None if one can."""
    if os.geteuid() != 0:
        return "starting Slurm takes root"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        return f"no {', '.join(absent)} here (Debian's slurm-wlm and munge)"
    if CONFIGURATION.exists() and not is_left_behind():
        return f"{CONFIGURATION} is somebody's"
    return None


def is_left_behind() -> bool:
    """Whether the configuration is that of tests which were killed: ours, with no controller."""
    is_ours = CONFIGURATION.read_text().startswith("ClusterName=loopback\n")
    return is_ours and not run("pidof", "slurmctld")


class Job(NamedTuple):
    id: str
    node: str
    comment: str  # the rule and its wildcards


class Cluster:
    """Started on entry, stopped on exit; `folder` takes its state and logs."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> "Cluster":
        folder, host = self.folder, os.uname().nodename.partition(".")[0]
        (folder / "state").mkdir(parents=True)
        CONFIGURATION.parent.mkdir(exist_ok=True)
        CONFIGURATION.write_text(TEMPLATE.format(folder=folder, host=host))
        (folder / "gpu0").touch()  # Slurm wants a file for each GPU
        CONFIGURATION.with_name("gres.conf").write_text(f"Name=gpu File={folder}/gpu0\n")
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        try:
            self._start(
                *("munged", "--foreground", "--force", "--num-threads=2"),
                f"--socket={folder}/munge.socket",
                f"--key-file={folder}/munge.key",
                f"--pid-file={folder}/munge.pid",
                f"--log-file={folder}/munge.log",
                f"--seed-file={folder}/munge.seed",
            )
            wait(lambda: (folder / "munge.socket").exists(), "munged", 20)
            self._start("slurmctld", "-D", "-c")
            for node in NODES:
                self._start("slurmd", "-D", "-N", node)
            wait(lambda: self.states() == ["idle", "idle"], "the nodes", 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        run("scancel", "--me")  # a job would outlive the daemons
        end = time.monotonic() + 10
        while run("squeue", "--noheader") and time.monotonic() < end:
            time.sleep(0.2)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        CONFIGURATION.unlink()
        CONFIGURATION.with_name("gres.conf").unlink()

    def _start(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.out", "ab") as log:
            self.daemons.append(subprocess.Popen(command, stdout=log, stderr=log))

    def states(self) -> list[str]:
        """Of the nodes: idle, alloc, mix, drain, ..."""
        return run("sinfo", "--noheader", "--Node", "--format=%N %t", "--partition=cpu").split()[
            1::2
        ]

    def running(self) -> list[Job]:
        lines = run("squeue", "--noheader", "--states=running", "--format=%i %N %k").splitlines()
        return [Job(*line.split(" ", 2)) for line in lines]


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def wait(condition, what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not there after {seconds} s"
        time.sleep(0.2)
