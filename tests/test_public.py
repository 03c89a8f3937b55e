"""The names that other code may rely on."""

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import cascadebert

ROOT = Path(__file__).parents[1]
# Parameters -> their defaults.
SIGNATURES = {
    "difficulty_inversion_score": {"confidence": None, "correct": None},
    "expected_calibration_error": {"confidence": None, "correct": None, "bins": 10},
    "difficulty_margin_loss": {"confidence": None, "difficult": None, "margin": None},
    "first_confident": {"confidence": None, "threshold": None},
    "first_patient": {"predictions": None, "patience": None},
    "speedup": {"exit_index": None, "costs": None, "full_cost": None},
}


@pytest.mark.slow
def test_importing_loads_no_other_library():
    code = (
        "import sys; before = set(sys.modules); import cascadebert; "
        "print({name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = eval(found.stdout) - set(sys.stdlib_module_names)
    assert loaded == {"cascadebert"}


@pytest.mark.slow
def test_planning_and_making_tables_load_no_torch():
    """Every job and every command pays for what it imports: torch takes a second and a half."""
    code = """if True:
        import importlib, pkgutil, sys
        for room in ("experiment", "systems", "evaluation", "reporting"):
            package = importlib.import_module(f"cascadebert.{room}")
            for module in pkgutil.walk_packages(package.__path__, f"cascadebert.{room}."):
                importlib.import_module(module.name)
            if loaded := {"torch", "transformers"} & set(sys.modules):
                sys.exit(f"{room} loads {loaded}")
    """
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("name", cascadebert.__all__)
def test_every_public_name_is_there(name):
    assert getattr(cascadebert, name) is not None
    assert name in dir(cascadebert)


@pytest.mark.parametrize(("name", "expected"), SIGNATURES.items())
def test_signatures_stay(name, expected):
    """A later parameter may be added, with a default."""
    parameters = inspect.signature(getattr(cascadebert, name)).parameters
    defaults = {p.name: None if p.default is p.empty else p.default for p in parameters.values()}
    assert list(defaults.items())[: len(expected)] == list(expected.items())
    assert all(p.default is not p.empty for p in list(parameters.values())[len(expected) :])


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cascadebert.nothing  # noqa: B018


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == citation["version"] == cascadebert.__version__
