"""The rooms of the library: `lint-imports` keeps their order, and it can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/files.py", "from cascadebert.data.task import Task", "A room imports only"),
        ("evaluation/claims.py", "import cascadebert.reporting.typeset", "A room imports only"),
        ("training/loop.py", "import snakemake", "does not know Snakemake"),
    ],
)
def test_an_import_against_the_order_of_rooms_is_found(tmp_path, module, line, broken):
    shutil.copytree(ROOT / "cascadebert", tmp_path / "cascadebert")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "cascadebert" / module).open("a") as file:
        file.write(f"{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert f"{broken}" in result.stdout
    assert "1 broken" in result.stdout


def test_a_room_that_no_layer_names_is_found(tmp_path):
    shutil.copytree(ROOT / "cascadebert", tmp_path / "cascadebert")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "cascadebert/attic").mkdir()
    (tmp_path / "cascadebert/attic/__init__.py").touch()
    assert "attic" in lint_imports(tmp_path).stdout
