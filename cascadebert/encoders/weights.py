"""Writes and reads trained weights in safetensors files."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from cascadebert.core.errors import UserError
from cascadebert.core.files import File

FILE = "model.safetensors"


def save_weights(module: nn.Module, folder: File) -> None:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(module, str(folder / FILE))


def load_weights(module: nn.Module, folder: File) -> None:
    """Reads the weights. Raises UserError if the file is damaged or of another model."""
    path = Path(folder) / FILE
    try:
        load_model(module, path)
    except (SafetensorError, RuntimeError) as error:
        raise UserError(
            f"{path} is damaged or of another model ({error}); delete it and run again"
        ) from error
