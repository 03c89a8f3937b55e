"""The two ways to install are the same."""

from itertools import chain
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def pins(lines) -> dict[str, str]:
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {requirement.name: str(requirement.specifier) for requirement in found}


def test_conda_installs_what_make_installs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (by_pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    conda = pins(by_pip)
    make = pins((ROOT / "requirements.txt").read_text().splitlines())
    assert conda == make
    assert all(version.startswith("==") for version in make.values())


def test_what_the_library_needs_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    make = pins((ROOT / "requirements.txt").read_text().splitlines())
    extras = project["optional-dependencies"].values()
    needed = pins([*project["dependencies"], *chain.from_iterable(extras)])
    del needed["cascadebert"]  # an extra that names other extras
    for name, allowed in needed.items():
        assert Requirement(name + allowed).specifier.contains(make[name].removeprefix("=="))
