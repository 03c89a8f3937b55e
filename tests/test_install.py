"""The wheel has all that the library needs, and works where there is no clone."""

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from cascadebert.deployment.cascade import Cascade
from tests.deployment.conftest import trained  # noqa: F401
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


def test_the_command_says_what_it_can_do(python, tmp_path):
    command = python.with_name("cascadebert")
    said = subprocess.run([command, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert "from a table to a classifier:" in said.stdout
    assert run(python, tmp_path, "-m", "cascadebert", "--help").stdout.replace(
        "__main__.py", "cascadebert"
    ) == (said.stdout)


def test_it_predicts(python, tmp_path, trained):  # noqa: F811
    """The command that was installed, on a cascade that this process saves."""
    Cascade.from_pretrained(trained[0], 0.9, max_length=64).save_pretrained(tmp_path / "model")
    (tmp_path / "in.csv").write_text("text\na superb film\na dull film\n")
    arguments = ["predict", "--model", "model", "--threshold", "0.9", "in.csv", "out.csv"]
    said = subprocess.run(
        [python.with_name("cascadebert"), *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_the_installed_workflow_plans_the_default_experiment(python, tmp_path):
    code = "from cascadebert.core.sources import WORKFLOW_FOLDER as f; print(f / 'Snakefile')"
    snakefile = run(python, tmp_path, "-c", code).stdout.strip()
    plan = ["-m", "snakemake", "--snakefile", snakefile, "--cores", "1", "--dry-run"]
    said = run(python, tmp_path, *plan)
    assert said.returncode == 0, said.stderr
    assert "table2_main" in said.stdout + said.stderr
    assert "fetch_encoder" not in said.stdout + said.stderr  # the embedded encoders are there
