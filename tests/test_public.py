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
SIGNATURES = {
    "difficulty_inversion_score": "(confidence, correct, weights=None)",
    "expected_calibration_error": "(confidence, correct, bins=10, weights=None)",
    "difficulty_margin_loss": "(confidence, difficult, margin: float)",
}
PARAMETERS = {
    "first_confident": ["confidence", "threshold"],
    "first_patient": ["predictions", "patience"],
    "speedup": ["exit_index", "costs", "full_cost"],
}


def test_importing_loads_no_other_library():
    code = (
        "import sys; before = set(sys.modules); import cascadebert; "
        "print({name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = eval(found.stdout) - set(sys.stdlib_module_names)
    assert loaded == {"cascadebert"}


@pytest.mark.parametrize("name", cascadebert.__all__)
def test_every_public_name_is_there(name):
    assert getattr(cascadebert, name) is not None
    assert name in dir(cascadebert)


@pytest.mark.parametrize(("name", "signature"), SIGNATURES.items())
def test_signatures_stay(name, signature):
    assert str(inspect.signature(getattr(cascadebert, name))).startswith(signature)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_parameters_stay(name, parameters):
    assert list(inspect.signature(getattr(cascadebert, name)).parameters) == parameters


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cascadebert.nothing  # noqa: B018


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == citation["version"] == cascadebert.__version__
