"""The wheel has all that the library needs, and works where there is no clone."""

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from tests.workflow.command import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of a fresh environment with the wheel; other packages are this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    [wheel] = folder.glob("*.whl")
    install = ["--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True)
    packages = next((folder / "venv/lib").glob("*/site-packages"))
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return python


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_the_workflow_is_in_the_package(python, tmp_path):
    code = "from cascadebert.core.sources import WORKFLOW_FOLDER; print(WORKFLOW_FOLDER)"
    folder = Path(run(python, tmp_path, "-c", code).stdout.strip())
    assert folder.is_relative_to(python.parents[1])
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    for source in named["targets"]["wheel"]["force-include"]:
        listed = subprocess.run(
            ["git", "ls-files", source], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            assert (folder / name).read_bytes() == (ROOT / name).read_bytes()


def test_schemas_and_published_numbers_are_found(python, tmp_path):
    said = run(python, tmp_path, "-m", "cascadebert.experiment.check")
    assert (said.stdout, said.stderr, said.returncode) == ("results/movies\n", "", 0)
    (tmp_path / "bad.yaml").write_text("experiment: bad\nreplicates: many\n")
    said = run(python, tmp_path, "-m", "cascadebert.experiment.check", "bad.yaml")
    assert "replicates: 'many' is not of type 'integer'" in said.stderr
    code = "from cascadebert.experiment import published; print(published.list_tasks())"
    assert "sst2" in run(python, tmp_path, "-c", code).stdout


def test_the_installed_workflow_plans_the_default_experiment(python, tmp_path):
    code = "from cascadebert.core.sources import WORKFLOW_FOLDER as f; print(f / 'Snakefile')"
    snakefile = run(python, tmp_path, "-c", code).stdout.strip()
    plan = ["-m", "snakemake", "--snakefile", snakefile, "--cores", "1", "--dry-run"]
    said = run(python, tmp_path, *plan)
    assert said.returncode == 0, said.stderr
    assert "table2_main" in said.stdout + said.stderr
    assert "fetch_encoder" not in said.stdout + said.stderr  # the embedded encoders are there
