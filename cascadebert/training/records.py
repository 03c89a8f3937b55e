"""Notes on the machine and the code that made a training or a prediction."""

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cascadebert.core.checksums import hash_file
from cascadebert.core.sources import LIBRARY, PACKED

MACHINE = "machine.json"  # in the folder of a trained model; no part of its fingerprint
ORIGIN = "origin.json"  # in a folder of predictions


def describe_machine(precision: str) -> dict[str, Any]:
    """The facts on which the last bits of a result may depend; no name of a host, no date.

    precision: as in the configuration; the machine's choice for `auto` is noted
    """
    # Tables import this module and cannot wait for torch.
    import torch

    from cascadebert.training.loop import choose_device, choose_dtype

    where = choose_device()
    return {
        "cpu": name_processor(),
        "gpu": torch.cuda.get_device_name(where) if where.type == "cuda" else None,
        "precision": str(choose_dtype(precision, where)).removeprefix("torch."),
        "torch": torch.__version__,
        "code": identify_code(),
    }


def describe_origin(trained: Path) -> dict[str, Any]:
    """Returns, for predictions, the checksums of their weights and the machines that made both.

    trained: the folder of the model; `trained` is None if it does not say where it was trained
    """
    noted = trained / MACHINE
    return {
        "weights": {path.name: hash_file(path) for path in sorted(trained.glob("*.safetensors"))},
        "trained": json.loads(noted.read_text()) if noted.exists() else None,
        "predicted": describe_machine("fp32"),
    }


def name_processor() -> str:
    """The model of the processor, or at least its architecture."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), platform.processor() or platform.machine())


def package_versions(*more: str) -> str:
    """The packages whose code decides what a training gives, with their versions.

    more: than torch and transformers, on which every training rests
    """
    return " ".join(f"{name} {version(name)}" for name in ("torch", "transformers", *more))


@cache
def identify_code() -> str:
    """A name for this version of the library and of those that training rests on; needs no git."""
    files = (path for path in LIBRARY.rglob("*.py") if not path.is_relative_to(PACKED))
    code = " ".join(map(hash_file, sorted(files)))
    return hashlib.sha256(f"{package_versions()} {code}".encode()).hexdigest()[:12]
