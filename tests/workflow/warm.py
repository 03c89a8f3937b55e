"""Runs Snakemake and its scripts as forks of a process that has imported their libraries.

Importing torch and transformers takes most of a small job's time. Tests of workflows start hundreds
of jobs, so they hand them to a server that has done it once. What runs is Snakemake and the scripts
themselves. Tests about processes (faults, clusters) start them as a user does.
"""

import gc
import json
import os
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from subprocess import CompletedProcess

from filelock import FileLock

CLIENT = Path(__file__).with_name("warm_client.py")
PRELOADED = """
snakemake.cli snakemake.api snakemake.report jsonschema nbformat pandas.io.json
narwhals.dependencies pyarrow.dataset pyarrow.parquet pyarrow.pandas_compat
altair vl_convert sklearn.linear_model fontTools.subset PIL.PngImagePlugin
torch.onnx._internal.exporter._core onnxscript onnxruntime.quantization
matplotlib.backends.backend_agg matplotlib.backends.backend_pdf
transformers.models.bert.modeling_bert transformers.models.roberta.modeling_roberta
"""
SCRIPTS = CLIENT.parents[2] / "workflow_scripts"


class WarmServer:
    """Started by the first worker of pytest that asks for it; ends when the tests end."""

    def __init__(self):
        tests = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
        folder = Path(tempfile.gettempdir(), f"warm-{tests}")
        folder.mkdir(exist_ok=True)
        self.path = folder / "socket"
        self.python = folder / "python"  # the program that stands for it; it starts in milliseconds
        with FileLock(folder / "lock"):
            if self.path.exists():
                return
            client = shlex.join([sys.executable, "-S", "-E", str(CLIENT), str(self.path)])
            self.python.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
            self.python.chmod(0o755)
            command = [sys.executable, "-m", "tests.workflow.warm", str(self.path), str(tests)]
            process = subprocess.Popen(command, cwd=CLIENT.parents[2])
            while not self.path.exists():
                assert process.poll() is None, "the server could not start"
                time.sleep(0.05)

    def run(self, module: str, *arguments: str, cwd: Path | None = None) -> CompletedProcess:
        """As `python -m module`, with its output captured."""
        command = [self.python, "-m", module, *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def list_imports(scripts: Path) -> list[str]:
    """The modules of the library that the scripts of the workflow import."""
    lines = (line for path in scripts.glob("*.py") for line in path.read_text().splitlines())
    return sorted({line.split()[1] for line in lines if line.startswith("from cascadebert")})


def serve(path: str, tests: int) -> None:
    """Serves as long as the process of that number, that of the tests, is there."""
    import importlib

    python = str(Path(path).with_name("python"))
    for name in [*PRELOADED.split(), *list_imports(SCRIPTS)]:
        importlib.import_module(name)
    # What was imported stays. A fork that went through it would copy its pages.
    gc.freeze()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(f"{path}.draft")
    server.listen()
    os.rename(f"{path}.draft", path)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    server.settimeout(10)
    while is_alive(tests):
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            server.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # A shell lets what it starts in the background ignore Ctrl-C.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            answer(connection, python)
        connection.close()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def answer(connection: socket.socket, python: str) -> None:
    """Runs what a client asks for, in this process, and ends the process."""
    request, files, *_ = socket.recv_fds(connection, 1 << 20, 3)
    given = json.loads(request)
    for target, file in enumerate(files):
        os.dup2(file, target)
    # Those of the server know what its own files can do.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    tempfile.tempdir = None  # of the environment, and found when it is asked for
    connection.send(str(os.getpid()).encode())
    sys.executable = python  # Snakemake starts scripts with it
    sys.argv = given["arguments"]
    status = 0
    try:
        if sys.argv[0] == "-m":
            sys.argv.pop(0)
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(str(status).encode())
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
    shutil.rmtree(Path(sys.argv[1]).parent)
