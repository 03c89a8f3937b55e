"""The cascade for use: a later model runs only on the inputs that earlier models leave to it."""

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.data.tokens import TokenizedTexts, encode_texts, make_sorted_batches
from cascadebert.deployment.given import choose, is_count, list_folders, list_texts, spread
from cascadebert.deployment.members import RUNTIMES, TORCH, Member, OnnxMember, TorchMember
from cascadebert.encoders.loading import (
    READS_PAIRS,
    label_names,
    list_untrained,
    load_classifier,
    load_config,
    load_tokenizer,
)
from cascadebert.evaluation.choice import Choice
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.exits import CONFIDENCES

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Answers:
    """A cascade's answers for some texts, in the order of the texts.

    `len` counts them. Iteration gives one record a text, which JSON and a pandas DataFrame take.

    classes:       the names of the labels
    probabilities: of every class, from the member that answered, float64 `[texts, classes]`
    exits:         index of the member that answered, int64 `[texts]`
    layers:        encoder layers that were executed, int64 `[texts]`
    truncated:     whether the text was cut, since the cascade reads `max_length` tokens, `[texts]`
    """

    classes: list[str]
    probabilities: np.ndarray
    exits: np.ndarray
    layers: np.ndarray
    truncated: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The name of the most probable class, `[texts]`."""
        return np.array(self.classes)[self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> np.ndarray:
        """The largest class probability, `[texts]`."""
        return self.probabilities.max(axis=1)

    def __len__(self) -> int:
        return len(self.exits)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        columns = {
            "label": self.labels,
            "confidence": self.confidence,
            "exit": self.exits,
            "layers": self.layers,
            "truncated": self.truncated,
            "probabilities": self.probabilities,
        }
        for row in zip(*(values.tolist() for values in columns.values()), strict=True):
            record = dict(zip(columns, row, strict=True))
            record["probabilities"] = dict(zip(self.classes, record["probabilities"], strict=True))
            yield record


class Cascade:
    """Fine-tuned classifiers from small to large. The first confident one answers a text.

    Paper, Algorithm 1. Later members do not compute a text that an earlier member answers.
    """

    def __init__(
        self,
        members: Sequence["PreTrainedModel | Member"],
        tokenizers: Sequence["PreTrainedTokenizerBase"],
        threshold: float | Sequence[float],
        max_length: int,
    ):
        """
        members:    classifiers of transformers, which torch computes, or members of any runtime
        threshold:  the confidence above which a member answers; a number, or one for each member
                    but the last
        max_length: in tokens; longer texts are cut

        Raises UserError if these do not fit together.
        """
        if not (isinstance(members, Sequence) and isinstance(tokenizers, Sequence)):
            raise UserError("a cascade takes a list of members, and a list of their tokenizers")
        if not members or len(members) != len(tokenizers):
            raise UserError(
                f"a cascade takes at least one member, and one tokenizer for each: there are "
                f"{len(members)} members and {len(tokenizers)} tokenizers"
            )
        self.members: list[Member] = [
            TorchMember(member) if isinstance(member, torch.nn.Module) else member
            for member in members
        ]
        self.classes = label_names(self.members[0].config)
        for number, (member, tokenizer) in enumerate(zip(self.members, tokenizers, strict=True), 1):
            name = member.config.name_or_path or f"member {number} of the cascade"
            if label_names(member.config) != self.classes:
                raise UserError(
                    f"the labels of {name} are {label_names(member.config)}, but those of the "
                    f"first member are {self.classes}"
                )
            _check_member(name, member, tokenizer, max_length)
        self.tokenizers = _share_equal(tokenizers)
        self.thresholds = [*spread(threshold, len(members) - 1), -np.inf]
        self.max_length = int(max_length)
        self.layers = np.cumsum([member.config.num_hidden_layers for member in self.members])

    @classmethod
    def from_pretrained(
        cls,
        folders: Sequence[File],
        threshold: float | Sequence[float],
        max_length: int | None = None,
        runtime: str = TORCH,
        threads: int | None = None,
    ) -> "Cascade":
        """Loads members that were fine-tuned on one task, smallest first.

        folders:    `models/<task>/<run>/seed<n>` of an experiment, or any sequence classifiers in
                    Hugging Face layout; for ONNX Runtime, folders that `export_member` wrote
        max_length: default: 128 tokens, or as many as all members read
        runtime:    "torch", "onnx", or "onnx-int8", whose confidences are others, so that it needs
                    thresholds of its own
        threads:    of ONNX Runtime; default: one for each core. `torch.set_num_threads` sets those
                    of torch

        Raises UserError if a member was never fine-tuned, or if members do not fit together.
        """
        folders = list_folders(folders)
        if runtime not in RUNTIMES:
            raise UserError(f"runtime is {runtime!r}; choose from: {', '.join(RUNTIMES)}")
        members: list[Member] = [
            TorchMember(_load_fine_tuned(folder))
            if runtime == TORCH
            else OnnxMember(folder, runtime, threads)
            for folder in folders
        ]
        if max_length is None:
            max_length = min([128, *(member.positions for member in members if member.positions)])
        return cls(members, [load_tokenizer(folder) for folder in folders], threshold, max_length)

    @classmethod
    def from_results(
        cls, results: File, task: str, system: str, speedup: float, replicate: int = 0
    ) -> "Cascade":
        """Loads a cascade of a finished experiment with the thresholds chosen for a speed-up.

        The thresholds are the nearest to the speed-up on the development split. Tables mix two
        neighbouring ones by a coin, so as to have the speed-up exactly; a deployed cascade does
        not, so that a text always gets the same answer.

        results: results/<experiment>
        speedup: one of the experiment's targets

        Raises UserError, with what there is to choose from, if there is no such cascade.
        """
        if not isinstance(results, (str, os.PathLike)):
            raise UserError(f"results is {results!r:.50}; give the folder results/<experiment>")
        results = Path(results)
        if not (results / "config.yaml").is_file():
            there = sorted(path.parent.name for path in results.parent.glob("*/config.yaml"))
            raise UserError(
                f"{results} has no config.yaml and is not the results of an experiment; those of "
                f"{results.parent} are: {', '.join(there) or 'none'}"
            )
        experiment = _read_experiment(results / "config.yaml")
        cascades = [key for key, of in experiment.systems.items() if of.rule is CONFIDENCES]
        task = choose(results, "task", task, experiment.tasks)
        system = choose(results, "cascade", system, cascades)
        replicate = choose(results, "replicate", replicate, experiment.replicates)
        place = results / "evaluation" / task / "choices" / f"{system}.json"
        if not place.is_file():
            raise UserError(
                f"{place} is missing: the experiment is not finished. Give its snakemake command "
                "again"
            )
        choice = Choice.load(place)
        speedup = choose(results, "speed-up", speedup, choice.knobs)
        candidates = [candidate.label for candidate in experiment.systems[system].candidates]
        if choice.candidate not in candidates or replicate >= len(choice.knobs[speedup]):
            raise UserError(
                f"{place} does not fit {results / 'config.yaml'}, which was changed since: the "
                "experiment is not finished. Give its snakemake command again"
            )
        runs = experiment.systems[system].candidate(choice.candidate).runs
        folders = [results / "models" / task / run.name / f"seed{replicate}" for run in runs]
        if missing := [str(folder) for folder in folders if not folder.is_dir()]:
            raise UserError(
                f"{missing[0]} is missing: the experiment is not finished, or its models were "
                "deleted. Give its snakemake command again"
            )
        max_length = experiment.config["training"]["max_length"]
        return cls.from_pretrained(folders, choice.knobs[speedup][replicate], max_length)

    def __call__(
        self,
        texts: str | Iterable[str],
        pairs: str | Iterable[str] | None = None,
        batch_size: int = 32,
    ) -> Answers:
        """Classifies texts, or pairs of texts, in their own order.

        texts, pairs: strings, or one string

        Raises UserError if these are something else, if a task of pairs gets none, or if a member
        gives no number as a probability.
        """
        texts = list_texts(texts, "texts")
        pairs = None if pairs is None else list_texts(pairs, "pairs")
        self._check_pairs(len(texts), None if pairs is None else len(pairs))
        if not is_count(batch_size) or batch_size < 1:
            raise UserError(f"batch_size is {batch_size!r}; give a whole number from 1 on")
        probabilities = np.empty((len(texts), len(self.classes)))
        exits = np.zeros(len(texts), dtype=np.int64)
        truncated = np.zeros(len(texts), dtype=bool)
        waiting = np.arange(len(texts))
        encodings: dict[int, TokenizedTexts] = {}  # by tokenizer
        for index, threshold in enumerate(self.thresholds):
            if not len(waiting):
                break
            tokenizer = self.tokenizers[index]
            if id(tokenizer) not in encodings:
                encodings[id(tokenizer)] = encode_texts(texts, pairs, tokenizer, self.max_length)
            encoded = encodings[id(tokenizer)]
            truncated[waiting] |= encoded.cut[waiting]
            for rows in make_sorted_batches(encoded.lengths[waiting], batch_size):
                batch = waiting[rows]
                logits = self.members[index].compute_logits(encoded.pad(batch))
                probabilities[batch] = _compute_softmax(logits)
            # A later member that answers writes over these.
            exits[waiting] = index
            confidence = probabilities[waiting].max(axis=1)
            if not np.isfinite(confidence).all():
                row = waiting[np.flatnonzero(~np.isfinite(confidence))[0]]
                raise UserError(
                    f"member {index + 1} of the cascade gives no number as a probability for "
                    f"texts[{row}]; its weights are damaged, or its training went wrong"
                )
            waiting = waiting[confidence <= threshold]
        return Answers(self.classes, probabilities, exits, self.layers[exits], truncated)

    def _check_pairs(self, texts: int, pairs: int | None) -> None:
        """Raises UserError unless there are as many pairs as texts where the task has pairs."""
        if pairs is not None and pairs != texts:
            raise UserError(f"there are {texts} texts, but {pairs} pairs; give one for each text")
        reads_pairs = getattr(self.members[0].config, READS_PAIRS, None)
        if reads_pairs is None:  # a model that was trained elsewhere does not say
            return
        if reads_pairs and pairs is None:
            raise UserError("the cascade was trained on pairs of texts; give `pairs`, too")
        if not reads_pairs and pairs is not None:
            raise UserError("the cascade was trained on single texts; give no `pairs`")


def _compute_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities, float64 `[texts, classes]`; scipy's takes longer than a tokenizer."""
    with np.errstate(invalid="ignore"):  # the caller tells of what is no number
        powers = np.exp(logits - logits.max(axis=1, keepdims=True).astype(np.float64))
        return powers / powers.sum(axis=1, keepdims=True)


def _load_fine_tuned(folder: File) -> "PreTrainedModel":
    """Raises UserError if the classifier's head is not in its files."""
    model = load_classifier(folder, label_names(load_config(folder)))
    if untrained := list_untrained(model):
        raise UserError(
            f"{folder} was never fine-tuned for the {model.config.num_labels} labels of its "
            f"config.json: its weights have no {untrained[0]} for them. Name a fine-tuned model, "
            "such as one that an experiment left in models/<task>/<run>/seed<n>"
        )
    return model


def _read_experiment(path: Path) -> Experiment:
    """Raises UserError if the file is damaged."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise UserError("it has no keys")
        return Experiment(config)
    except (UserError, OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"{path} is damaged or of another version ({error}). Give the experiment's snakemake "
            "command again, which writes it anew"
        ) from error


def _share_equal(
    tokenizers: Sequence["PreTrainedTokenizerBase"],
) -> list["PreTrainedTokenizerBase"]:
    """Copies of the tokenizers, of which equal ones are one object: texts are encoded once.

    Encoding sets a tokenizer's limit of tokens. The caller's own may be in use elsewhere.
    """
    distinct: dict[str, PreTrainedTokenizerBase] = {}
    own = copy.deepcopy(list(tokenizers))
    return [distinct.setdefault(_describe(each), each) for each in own]


def _describe(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Equal for tokenizers that encode every text alike; an own name for one that cannot say."""
    if not tokenizer.is_fast:
        return str(id(tokenizer))
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    inputs = "token_type_ids" in tokenizer.model_input_names
    return f"{inputs} {tokenizer.pad_token_id} {tokenizer.backend_tokenizer.to_str()}"


def _check_member(
    name: str,
    member: Member,
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
) -> None:
    """Raises UserError unless the member can compute whatever the tokenizer gives it."""
    frame = tokenizer.num_special_tokens_to_add(pair=True)  # such as [CLS] and [SEP]
    if not is_count(max_length) or max_length <= frame:
        raise UserError(f"max_length is {max_length!r}; give a whole number above {frame}")
    if member.positions is not None and max_length > member.positions:
        raise UserError(
            f"max_length is {max_length}, but {name} reads {member.positions} tokens at most"
        )
    if len(tokenizer) > member.words:
        raise UserError(
            f"{name} has a vocabulary of {member.words}, but its tokenizer one of "
            f"{len(tokenizer)}; give the tokenizer with which it was trained"
        )
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {name} has no padding token")
