"""The cascade for use: a later model runs only on the inputs that earlier models leave to it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.data.tokens import find_cut, make_sorted_batches
from cascadebert.encoders.loading import (
    READS_PAIRS,
    check_finite,
    count_positions,
    count_words,
    label_names,
    list_untrained,
    load_classifier,
    load_config,
    load_tokenizer,
)
from cascadebert.evaluation.choice import Choice
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.exits import CONFIDENCES
from cascadebert.training.loop import choose_device

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
        members: Sequence["PreTrainedModel"],
        tokenizers: Sequence["PreTrainedTokenizerBase"],
        threshold: float | Sequence[float],
        max_length: int,
    ):
        """
        threshold:  the confidence above which a member answers; a number, or one for each member
                    but the last
        max_length: in tokens; longer texts are cut

        Raises UserError if these do not fit together.
        """
        if not members or len(members) != len(tokenizers):
            raise UserError(
                f"a cascade takes at least one member, and one tokenizer for each: there are "
                f"{len(members)} members and {len(tokenizers)} tokenizers"
            )
        self.classes = label_names(members[0].config)
        for number, (member, tokenizer) in enumerate(zip(members, tokenizers, strict=True), 1):
            name = member.config.name_or_path or f"member {number} of the cascade"
            if label_names(member.config) != self.classes:
                raise UserError(
                    f"the labels of {name} are {label_names(member.config)}, but those of the "
                    f"first member are {self.classes}"
                )
            _check_member(name, member, tokenizer, max_length)
        # pyrefly: ignore[bad-argument-type]: transformers wraps `to` without its types
        self.members = [member.to(choose_device()).eval() for member in members]
        self.tokenizers = list(tokenizers)
        self.thresholds = [*_spread(threshold, len(members) - 1), -np.inf]
        self.max_length = max_length
        self.layers = np.cumsum([member.config.num_hidden_layers for member in members])

    @classmethod
    def from_pretrained(
        cls,
        folders: Sequence[File],
        threshold: float | Sequence[float],
        max_length: int | None = None,
    ) -> "Cascade":
        """Loads members that were fine-tuned on one task, smallest first.

        folders:    `models/<task>/<run>/seed<n>` of an experiment, or any sequence classifiers in
                    Hugging Face layout
        max_length: default: 128 tokens, or as many as all members read

        Raises UserError if a member was never fine-tuned, or if members do not fit together.
        """
        if isinstance(folders, str):
            raise UserError(f"{folders!r} is one folder; give a list, the smallest model first")
        members = []
        for folder in folders:
            member = load_classifier(folder, label_names(load_config(folder)))
            if untrained := list_untrained(member):
                raise UserError(
                    f"{folder} was never fine-tuned for classification: its weights have no "
                    f"{untrained[0]}. Name a fine-tuned model, such as one that an experiment left "
                    "in models/<task>/<run>/seed<n>"
                )
            members.append(member)
        if max_length is None:
            max_length = min([128, *filter(None, map(count_positions, members))])
        return cls(members, [load_tokenizer(folder) for folder in folders], threshold, max_length)

    @classmethod
    def from_results(
        cls, results: File, task: str, system: str, speedup: float, replicate: int = 0
    ) -> "Cascade":
        """Loads a cascade of a finished experiment with the thresholds chosen for a speed-up.

        results: results/<experiment>
        speedup: one of the experiment's targets

        Raises UserError, with what there is to choose from, if there is no such cascade.
        """
        results = Path(results)
        if not (results / "config.yaml").is_file():
            there = sorted(path.parent.name for path in results.parent.glob("*/config.yaml"))
            raise UserError(
                f"{results} has no config.yaml and is not the results of an experiment; those of "
                f"{results.parent} are: {', '.join(there) or 'none'}"
            )
        experiment = Experiment(yaml.safe_load((results / "config.yaml").read_text()))
        cascades = [key for key, of in experiment.systems.items() if of.rule is CONFIDENCES]
        _check_offered(results, "task", task, experiment.tasks)
        _check_offered(results, "cascade", system, cascades)
        _check_offered(results, "replicate", replicate, experiment.replicates)
        place = results / "evaluation" / task / "choices" / f"{system}.json"
        if not place.is_file():
            raise UserError(
                f"{place} is missing: the experiment is not finished. Give its snakemake command "
                "again"
            )
        choice = Choice.load(place)
        _check_offered(results, "speed-up", speedup, choice.knobs)
        runs = experiment.systems[system].candidate(choice.candidate).runs
        folders = [results / "models" / task / run.name / f"seed{replicate}" for run in runs]
        if missing := [str(folder) for folder in folders if not folder.is_dir()]:
            raise UserError(
                f"{missing[0]} is missing: the experiment is not finished, or its models were "
                "deleted. Give its snakemake command again"
            )
        max_length = experiment.config["training"]["max_length"]
        return cls.from_pretrained(folders, choice.knobs[speedup][replicate], max_length)

    @torch.inference_mode()
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
        texts = _list_texts(texts, "texts")
        pairs = None if pairs is None else _list_texts(pairs, "pairs")
        self._check_pairs(len(texts), None if pairs is None else len(pairs))
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f"batch_size is {batch_size!r}; give a whole number from 1 on")
        probabilities = np.empty((len(texts), len(self.classes)))
        exits = np.empty(len(texts), dtype=np.int64)
        truncated = np.zeros(len(texts), dtype=bool)
        waiting = np.arange(len(texts))
        for index, threshold in enumerate(self.thresholds):
            if not len(waiting):
                break
            rows = waiting.tolist()
            found, cut = self._run_member(
                index,
                [texts[row] for row in rows],
                None if pairs is None else [pairs[row] for row in rows],
                batch_size,
            )
            if not np.isfinite(found).all():
                row = rows[int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])]
                raise UserError(
                    f"member {index + 1} of the cascade gives no number as a probability for "
                    f"texts[{row}]; its weights are damaged, or its training went wrong"
                )
            truncated[waiting] |= cut
            leaving = found.max(axis=1) > threshold
            probabilities[waiting[leaving]] = found[leaving]
            exits[waiting[leaving]] = index
            waiting = waiting[~leaving]
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

    def _run_member(
        self, index: int, texts: list[str], pairs: list[str] | None, batch_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities, float64 `[texts, classes]`, and whether each text was cut."""
        member, tokenizer = self.members[index], self.tokenizers[index]
        encoded = tokenizer(texts, pairs, truncation=True, max_length=self.max_length)
        cut = find_cut(encoded["input_ids"], texts, pairs, tokenizer, self.max_length)
        lengths = np.array([len(tokens) for tokens in encoded["input_ids"]])
        probabilities = np.empty((len(texts), len(self.classes)))
        for rows in make_sorted_batches(lengths, batch_size):
            batch = tokenizer.pad(
                {name: [values[i] for i in rows] for name, values in encoded.items()},
                return_tensors="pt",
            )
            logits = member(**batch.to(member.device)).logits
            probabilities[rows] = logits.double().softmax(dim=-1).cpu().numpy()
        return probabilities, cut


def _check_member(
    name: str,
    member: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
) -> None:
    """Raises UserError unless the member can compute whatever the tokenizer gives it."""
    frame = tokenizer.num_special_tokens_to_add(pair=True)  # such as [CLS] and [SEP]
    if not isinstance(max_length, int) or max_length <= frame:
        raise UserError(f"max_length is {max_length!r}; give a whole number above {frame}")
    check_finite(name, member)
    positions = count_positions(member)
    if positions is not None and max_length > positions:
        raise UserError(f"max_length is {max_length}, but {name} reads {positions} tokens at most")
    words = count_words(member)
    if len(tokenizer) > words:
        raise UserError(
            f"{name} has a vocabulary of {words}, but its tokenizer one of {len(tokenizer)}; give "
            "the tokenizer with which it was trained"
        )
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {name} has no padding token")


def _spread(threshold: float | Sequence[float], count: int) -> list[float]:
    """One threshold for each of `count` members. Raises UserError if there are others."""
    try:
        given = np.asarray(threshold, dtype=float)
    except (TypeError, ValueError):
        given = np.array(np.nan)
    if np.isnan(given).any() or given.shape not in ((), (count,)):
        raise UserError(
            f"threshold is {threshold!r}; give a number, or {count} numbers: one for each member "
            "but the last"
        )
    return np.broadcast_to(given, count).tolist()


def _list_texts(texts: str | Iterable[str], name: str) -> list[str]:
    """The strings in their order. Raises UserError with the position of what is none."""
    if isinstance(texts, str):
        texts = [texts]
    # Iteration would give keys, numbers, column names, or strings in no order.
    elif isinstance(texts, (Mapping, Set, bytes)) or getattr(texts, "ndim", 1) != 1:
        raise UserError(
            f"{name}: a {type(texts).__name__} is no sequence of strings; give a list, or one "
            "column of a table"
        )
    elif not isinstance(texts, Iterable):
        raise UserError(f"{name}: {texts!r:.50} is a {type(texts).__name__}; give strings")
    found = []
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(
                f"{name}[{position}] is {text!r:.50}, a {type(text).__name__}; give a string"
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{name}[{position}] has half of a surrogate pair at character {error.start}; "
                "decode the text anew, for example with errors='replace'"
            ) from error
        found.append(str(text))
    return found


def _check_offered(results: Path, kind: str, given: Any, offered: Iterable[Any]) -> None:
    """Raises UserError unless `given` is among what the experiment offers."""
    offered = list(offered)
    if given not in offered:
        names = ", ".join(f"{o:g}" if isinstance(o, float) else str(o) for o in offered)
        raise UserError(f"{results} has no {kind} {given!r}; choose from: {names or 'none'}")
