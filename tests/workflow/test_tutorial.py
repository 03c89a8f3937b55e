"""docs/tutorial.md, from top to bottom, as its reader does it."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.workflow.command import ROOT, warm_server

BLOCK = re.compile(r'^```(\w+)(?: title="([\w.]+)")?\n(.*?)^```$', re.M | re.S)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """The folder of a reader who has done all, and what the commands printed."""
    folder, programs = tmp_path_factory.mktemp("tutorial"), tmp_path_factory.mktemp("bin")
    python = warm_server().python
    command = programs / "cascadebert"
    command.write_text(f'#!/bin/sh\nexec {python} -m cascadebert "$@"\n')
    command.chmod(0o755)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PATH": f"{programs}:{python.parent}:{os.environ['PATH']}",
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    said = []
    for language, title, code in BLOCK.findall((ROOT / "docs/tutorial.md").read_text()):
        if title:
            (folder / title).write_text(code)
        elif language == "yaml":  # sections that the reader puts into the configuration
            path = folder / "tickets.yaml"
            path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | yaml.safe_load(code)))
        elif language == "bash":
            found = subprocess.run(
                ["bash", "-e", "-c", code],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert found.returncode == 0, f"{code}\n{found.stdout}"
            said.append(found.stdout)
    return folder, "".join(said)


def test_it_ends_with_a_service_that_answers(made):
    folder, said = made
    assert '[{"label": "escalate", "score": 0.' in said
    assert len((folder / "answers.csv").read_text().splitlines()) == 401
    assert "The report is results/tickets/report.html. Next: cascadebert export " in said
    assert (folder / "results/tickets/report.html").stat().st_size > 100_000
    assert (folder / "shipped/cascade.json").is_file()


def test_the_classifier_has_learnt(made):
    _, said = made
    [accuracy] = re.findall(r"'full_score': ([\d.]+)", said)
    assert float(accuracy) > 80  # the most frequent label has 35
