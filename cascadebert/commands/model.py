"""Loads the cascade of --model, for `predict`, `explain` and `bench`."""

import argparse
from pathlib import Path

from cascadebert.core.errors import UserError
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.folder import Description, find_folder
from cascadebert.deployment.members import FILES, ONNX, RUNTIMES, TORCH


def load_model(parsed: argparse.Namespace) -> tuple[Cascade, Description]:
    """Loads the cascade of --model, with thresholds.

    Raises UserError if it is none, has no thresholds, or lacks what is asked for.
    """
    folder = find_folder(parsed.model)
    described = Description.load(folder)
    runtime = parsed.runtime or (ONNX if ONNX in list_runtimes(folder, described) else TORCH)
    if parsed.threads is not None and parsed.threads < 1:
        raise UserError(f"--threads is {parsed.threads}; give a number from 1 on")
    cascade = load_for(parsed, folder, runtime)
    if cascade.thresholds is None:
        raise UserError(f"{folder} has no thresholds for {runtime}; give --threshold")
    return cascade, described


def list_runtimes(folder: Path, described: Description) -> list[str]:
    """Those for which every member has its file."""
    return [
        runtime
        for runtime in RUNTIMES
        if all(
            any((folder / member.folder).glob(FILES.get(runtime, "model*.safetensors")))
            for member in described.members
        )
    ]


def load_for(parsed: argparse.Namespace, folder: Path, runtime: str) -> Cascade:
    """Loads a cascade for a runtime, with the thresholds that the options ask for."""
    return Cascade.from_pretrained(
        folder,
        parsed.threshold,
        runtime=runtime,
        threads=parsed.threads,
        speedup=parsed.speedup,
        max_loss=parsed.max_loss,
    )
