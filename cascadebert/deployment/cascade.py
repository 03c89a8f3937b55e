"""The cascade for use: a later model runs only on the inputs that earlier models leave to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import yaml

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.data.tokens import make_sorted_batches
from cascadebert.encoders.loading import label_names, load_classifier, load_config, load_tokenizer
from cascadebert.evaluation.choice import Choice
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.shared.exits import CONFIDENCES
from cascadebert.training.loop import choose_device

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Answers:
    """A cascade's answers for some texts; arrays `[texts]`.

    labels:     label names
    confidence: the largest class probability at the exit that was taken
    exits:      index of the member that answered
    layers:     encoder layers that were executed
    """

    labels: np.ndarray
    confidence: np.ndarray
    exits: np.ndarray
    layers: np.ndarray


class Cascade:
    """Fine-tuned classifiers from small to large. The first confident one answers a text.

    Paper, Algorithm 1. Later members do not compute a text that an earlier member answers.
    """

    def __init__(
        self,
        members: Sequence["PreTrainedModel"],
        tokenizers: Sequence["PreTrainedTokenizerBase"],
        threshold: float | Sequence[float],
        max_length: int,
    ):
        """threshold: the confidence above which a member answers; a number, or one for each member
        but the last."""
        # pyrefly: ignore[bad-argument-type]: transformers wraps `to` without its types
        self.members = [member.to(choose_device()).eval() for member in members]
        self.tokenizers = list(tokenizers)
        self.thresholds = [*np.broadcast_to(np.asarray(threshold, float), len(members) - 1), 0.0]
        self.max_length = max_length
        self.label_names = np.array(label_names(members[0].config))
        self.layers = np.cumsum([member.config.num_hidden_layers for member in members])

    @classmethod
    def from_pretrained(
        cls, folders: Sequence[File], threshold: float | Sequence[float], max_length: int = 128
    ) -> "Cascade":
        """Loads members that were fine-tuned on one task, smallest first.

        folders: `models/<task>/<run>/seed<n>` of an experiment, or any sequence classifiers in
                 Hugging Face layout. Raises UserError if their labels differ.
        """
        labels = [label_names(load_config(folder)) for folder in folders]
        for folder, names in zip(folders, labels, strict=True):
            if names != labels[0]:
                raise UserError(
                    f"the labels of {folder} are {names}, but of {folders[0]} {labels[0]}"
                )
        members = [load_classifier(folder, labels[0]) for folder in folders]
        return cls(members, [load_tokenizer(folder) for folder in folders], threshold, max_length)

    @classmethod
    def from_results(
        cls, results: File, task: str, system: str, speedup: float, replicate: int = 0
    ) -> "Cascade":
        """Loads a cascade of a finished experiment with the thresholds chosen for a speed-up.

        results: results/<experiment>
        speedup: one of the experiment's targets
        Raises UserError if the system is no cascade or the speed-up is no target.
        """
        results = Path(results)
        experiment = Experiment(yaml.safe_load((results / "config.yaml").read_text()))
        choice = Choice.load(results / "evaluation" / task / "choices" / f"{system}.json")
        runs = experiment.systems[system].candidate(choice.candidate).runs
        if experiment.systems[system].rule is not CONFIDENCES:
            raise UserError(f"{system} of {results} is no cascade of models")
        if speedup not in choice.knobs:
            targets = ", ".join(f"{target:g}" for target in choice.knobs)
            raise UserError(f"{results} has no threshold for {speedup}x; its targets are {targets}")
        folders = [results / "models" / task / run.name / f"seed{replicate}" for run in runs]
        max_length = experiment.config["training"]["max_length"]
        return cls.from_pretrained(folders, choice.knobs[speedup][replicate], max_length)

    @torch.inference_mode()
    def __call__(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, batch_size: int = 32
    ) -> Answers:
        """Classifies texts, or pairs of texts."""
        labels = np.empty(len(texts), dtype=np.int64)
        confidence = np.empty(len(texts))
        exits = np.empty(len(texts), dtype=np.int64)
        waiting = np.arange(len(texts))
        for index, (member, tokenizer) in enumerate(
            zip(self.members, self.tokenizers, strict=True)
        ):
            if not len(waiting):
                break
            probabilities = self._probabilities(
                member,
                tokenizer,
                [texts[i] for i in waiting.tolist()],
                None if pairs is None else [pairs[i] for i in waiting.tolist()],
                batch_size,
            )
            leaving = probabilities.max(axis=1) > self.thresholds[index]
            labels[waiting[leaving]] = probabilities[leaving].argmax(axis=1)
            confidence[waiting[leaving]] = probabilities[leaving].max(axis=1)
            exits[waiting[leaving]] = index
            waiting = waiting[~leaving]
        return Answers(self.label_names[labels], confidence, exits, self.layers[exits])

    def _probabilities(
        self,
        member: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        texts: list[str],
        pairs: list[str] | None,
        batch_size: int,
    ) -> np.ndarray:
        """float64 `[texts, labels]`."""
        encoded = tokenizer(texts, pairs, truncation=True, max_length=self.max_length)
        result = np.empty((len(texts), len(self.label_names)))
        for rows in make_sorted_batches(
            np.array([len(x) for x in encoded["input_ids"]]), batch_size
        ):
            batch = tokenizer.pad(
                {name: [values[i] for i in rows] for name, values in encoded.items()},
                return_tensors="pt",
            )
            logits = member(**batch.to(member.device)).logits
            result[rows] = logits.double().softmax(dim=-1).cpu().numpy()
        return result
