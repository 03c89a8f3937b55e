"""Where the encoders of an experiment lie, and which of them pre-training makes."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from cascadebert.core.sources import WORKFLOW_FOLDER


class HubModel(NamedTuple):
    """A model of the Hugging Face hub; the revision is a branch, tag or commit."""

    name: str
    revision: str


class Encoders:
    """The encoders of a configuration, by their names there.

    pooling: encoder -> what classifiers on it read, where that is not the first token's state
    """

    def __init__(self, config: dict[str, Any], results: str):
        """results: the folder of the experiment's results"""
        self.config, self.results = config, results
        self.pooling: dict[str, str] = {
            name: entry["pooling"]
            for name, entry in config["encoders"].items()
            if isinstance(entry, dict) and "pooling" in entry
        }

    def locate(self, name: str) -> str:
        """Returns the folder of an encoder."""
        return self._locate_model(self._find_model(name))

    def _find_model(self, name: str) -> HubModel:
        """Returns what the configuration calls an encoder, on the hub or not."""
        entry = self.config["encoders"][name]
        if isinstance(entry, str):
            return HubModel(entry, "main")
        return HubModel(entry["model"], entry.get("revision", "main"))

    def _locate_model(self, model: HubModel) -> str:
        """Returns the folder of a model: a local folder, or the one for a model of the hub."""
        if local := self._find_local(model.name):
            return local
        name = model.name if model.revision == "main" else "@".join(model)
        return f"{self.results}/encoders/{name.replace('/', '--')}"

    def _find_local(self, name: str) -> str | None:
        """Returns a local model's folder; None for a model of the hub.

        The folder lies beside the Snakefile, or is relative to the working directory. Where both
        have it, the one beside the Snakefile is meant: the default configuration names its encoders
        from anywhere.
        """
        family = self.config.get("pretraining", {}).get("family")
        if family and name.startswith(f"{family}-"):
            return name
        here, embedded = Path(name), WORKFLOW_FOLDER / name
        is_here = os.path.isdir(here)  # also of names that are too long for a folder
        if not os.path.isdir(embedded):
            return name if is_here else None
        return name if is_here and here.samefile(embedded) else str(embedded)

    @cached_property
    def on_hub(self) -> dict[str, HubModel]:
        """Folder -> the model of the hub that is put into it."""
        models = [self._find_model(name) for name in self.config["encoders"]]
        models += [HubModel(name, "main") for name in self.named_in_pretraining.values()]
        return {
            self._locate_model(model): model for model in models if not self._find_local(model.name)
        }

    @cached_property
    def pretraining(self) -> dict[str, Any]:
        """The section `pretraining`, with the folders of the models that it names."""
        section = dict(self.config["pretraining"])
        for (part, key), name in self.named_in_pretraining.items():
            section[part] = {**section[part], key: self._locate_model(HubModel(name, "main"))}
        return section

    @cached_property
    def named_in_pretraining(self) -> dict[tuple[str, str], str]:
        """Part and key of the section `pretraining` -> the model that is named there."""
        section = self.config.get("pretraining", {})
        named = (("teacher", "model"), ("vocabulary", "from"))
        return {
            (part, key): section[part][key] for part, key in named if key in section.get(part, {})
        }

    @cached_property
    def depths(self) -> dict[int, dict[str, Any]]:
        """Layers of the encoders that `pretraining` makes -> the schedule's settings for them."""
        entries = self.config.get("pretraining", {}).get("depths", [])
        return {
            entry["layers"]: {key: value for key, value in entry.items() if key != "layers"}
            for entry in entries
        }

    def family_folder(self, layers: int | str) -> str:
        """Returns the folder of an encoder that `pretraining` makes."""
        section = self.config["pretraining"]
        return f"{section['family']}-{layers}x{section['encoder']['width']}"

    def next_shallower(self, layers: int) -> int | None:
        """Returns the depth of the encoder that this one starts from; None without stacking."""
        below = [depth for depth in self.depths if depth < layers]
        return max(below) if self.config["pretraining"]["stacking"] and below else None

    def tokenizer(self, name: str) -> str:
        """Returns the encoder whose tokenizer this encoder uses."""
        entry = self.config["encoders"][name]
        return name if isinstance(entry, str) else entry.get("tokenizer", name)
