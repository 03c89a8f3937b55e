"""The classifiers of a cascade, each on the runtime that computes it: torch, or ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.deployment.light import read_classifier
from cascadebert.encoders.loading import (
    check_finite,
    count_positions,
    count_words,
    label_names,
    list_untrained,
    load_classifier,
    load_config,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TORCH, ONNX, INT8 = RUNTIMES = ("torch", "onnx", "onnx-int8")
FILES = {ONNX: "model.onnx", INT8: "model_int8.onnx"}  # beside the model's config.json

# On CPUs the fused operator of ONNX Runtime 1.32 was slower than the two that it replaces.
SLOW_FUSIONS = ["SkipLayerNormFusion"]


class Member(Protocol):
    """A fine-tuned classifier.

    config:    its Hugging Face configuration, or a `light.ClassifierConfig`
    words:     how many token ids it has an embedding for
    positions: how many tokens it can read; None if no table of positions limits it
    """

    config: Any
    words: int
    positions: int | None

    def compute_logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns logits, float32 `[texts, classes]`, of a padded batch.

        inputs: what a tokenizer gives, such as input_ids and attention_mask, int64
                `[texts, tokens]`
        """
        ...


class TorchMember:
    """A classifier in torch, on the GPU if there is one."""

    def __init__(self, model: "PreTrainedModel"):
        """Raises UserError if a weight is infinite or no number."""
        from cascadebert.training.loop import choose_device  # ONNX Runtime needs no torch

        self.config: Any = model.config
        check_finite(model.config.name_or_path or "a member of the cascade", model)
        self.words, self.positions = count_words(model), count_positions(model)
        # pyrefly: ignore[bad-argument-type]: transformers wraps `to` without its types
        self.model = model.to(choose_device()).eval()

    def compute_logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        import torch

        device = self.model.device
        with torch.inference_mode():
            batch = {name: torch.from_numpy(values).to(device) for name, values in inputs.items()}
            return self.model(**batch).logits.float().cpu().numpy()


class OnnxMember:
    """A classifier that `export.export_member` wrote, in ONNX Runtime on the CPU."""

    def __init__(self, folder: File, runtime: str, threads: int | None = None):
        """
        folder:  with config.json and the file of the runtime
        runtime: ONNX or INT8
        threads: that compute a batch together; None for as many as there are cores

        Raises UserError if the file is missing, cannot be read, or has other classes.
        """
        import onnxruntime

        path = Path(folder, FILES[runtime])
        if not path.is_file():
            raise UserError(f"{path} is missing; export the cascade for {runtime} first")
        self.config: Any = read_classifier(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # The threads of one member would spin, and so keep cores busy, while another one computes.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3  # errors; a warning tells of every shape that is open
        try:
            self.session = onnxruntime.InferenceSession(
                path,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=SLOW_FUSIONS,
            )
            about = self.session.get_modelmeta().custom_metadata_map
            self.words = int(about["words"])
            self.positions = int(about["positions"]) if "positions" in about else None
        except Exception as error:  # the runtime raises classes of its own
            raise UserError(f"{path} is damaged ({error}); export the cascade again") from error
        self.reads = [field.name for field in self.session.get_inputs()]
        classes, labels = self.session.get_outputs()[0].shape[-1], len(self.config.id2label)
        if isinstance(classes, int) and classes != labels:
            raise UserError(
                f"{path} has {classes} classes, but the config.json beside it {labels}; export the "
                "cascade again"
            )

    def compute_logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        [logits] = self.session.run(None, {name: inputs[name] for name in self.reads})
        return np.asarray(logits)


def load_member(folder: File, runtime: str, threads: int | None) -> Member:
    """Loads a member for a runtime; `threads` are those of `OnnxMember`."""
    if runtime == TORCH:
        return TorchMember(_load_fine_tuned(folder))
    return OnnxMember(folder, runtime, threads)


def _load_fine_tuned(folder: File) -> "PreTrainedModel":
    """Raises UserError if the classifier's head is not in its files."""
    model = load_classifier(folder, label_names(load_config(folder)))
    if untrained := list_untrained(model):
        # The last is of the head. Names of a pooler, which may be new too, come before it.
        raise UserError(
            f"{folder} was never fine-tuned for the {model.config.num_labels} labels of its "
            f"config.json: its weights have no {untrained[-1]} for them. Name a fine-tuned model, "
            "such as one that an experiment left in models/<task>/<run>/seed<n>"
        )
    return model
