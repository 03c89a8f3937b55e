"""The cascade for use: a later model runs only on the inputs that earlier models leave to it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.deployment.answers import Answers
from cascadebert.deployment.compatibility import check_member, share_equal
from cascadebert.deployment.folder import (
    Description,
    OperatingPoint,
    find_folder,
    load_tokenizers,
    refuse_missing,
)
from cascadebert.deployment.given import choose, is_count, list_folders, list_texts, spread
from cascadebert.deployment.members import RUNTIMES, TORCH, Member, TorchMember, load_member
from cascadebert.deployment.reader import Reader
from cascadebert.encoders.loading import READS_PAIRS, label_names, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Cascade:
    """Fine-tuned classifiers from small to large. The first confident one answers a text.

    Paper, Algorithm 1. Later members do not compute a text that an earlier member answers.
    """

    def __init__(
        self,
        members: Sequence["PreTrainedModel | Member"],
        tokenizers: Sequence["PreTrainedTokenizerBase"],
        threshold: float | Sequence[float] | None,
        max_length: int,
    ):
        """
        members:    classifiers of transformers, which torch computes, or members of any runtime
        threshold:  the confidence above which a member answers; a number, or one for each member
                    but the last; None for a cascade that cannot answer yet
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
            cast("Member", member)
            if hasattr(member, "compute_logits")
            else TorchMember(cast("PreTrainedModel", member))
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
            check_member(name, member, tokenizer, max_length)
        self.tokenizers = share_equal(tokenizers)
        if threshold is None and len(members) == 1:
            threshold = []
        self.thresholds = None if threshold is None else spread(threshold, len(members) - 1)
        self.max_length = int(max_length)
        # By which the logits of each member are divided, if its experiment scaled them.
        self.temperatures = [1.0] * len(self.members)
        self.layers = np.cumsum([member.config.num_hidden_layers for member in self.members])
        self.runtime = TORCH
        self.saved: Path | None = None  # the folder that it was loaded from
        self.points: list[OperatingPoint] = []

    @classmethod
    def from_pretrained(
        cls,
        folders: File | Sequence[File],
        threshold: float | Sequence[float] | None = None,
        max_length: int | None = None,
        runtime: str = TORCH,
        threads: int | None = None,
        speedup: float | None = None,
        max_loss: float | None = None,
    ) -> "Cascade":
        """Loads a cascade that was exported or saved, or joins members, smallest first.

        folders:    the folder of a cascade, or its name on the hub; or a list of members that were
                    fine-tuned on one task: `models/<task>/<run>/seed<n>` of an experiment, or any
                    sequence classifiers in Hugging Face layout; for ONNX Runtime, folders that
                    `export_member` wrote
        threshold:  default: that of the cascade for `speedup`; members get theirs from
                    `fit_thresholds`
        max_length: default: the cascade's, for which alone its scores and promises hold; of
                    members, 128 tokens, or as many as all members read
        runtime:    "torch", "onnx", or "onnx-int8", whose confidences are others, so that it needs
                    thresholds of its own
        threads:    of ONNX Runtime; default: one for each core. `torch.set_num_threads` sets those
                    of torch
        speedup:    one of those for which the cascade has thresholds; default: the thresholds that
                    were fitted or saved last for this runtime, else the smallest speed-up's
        max_loss:   in place of `speedup`, a loss of accuracy that the cascade promises, as a share
                    (0.01 is one point)

        Raises UserError if a member was never fine-tuned, or if members do not fit together.
        """
        if runtime not in RUNTIMES:
            raise UserError(f"runtime is {runtime!r}; choose from: {', '.join(RUNTIMES)}")
        if isinstance(folders, (str, os.PathLike)):
            aims = {"threshold": threshold, "speedup": speedup, "max_loss": max_loss}
            if sum(aim is not None for aim in aims.values()) > 1:
                raise UserError("give one of `threshold`, `speedup` and `max_loss`")
            return cls._from_saved(find_folder(folders), max_length, runtime, threads, **aims)
        listed = list_folders(folders)
        if speedup is not None or max_loss is not None:
            raise UserError(
                "members have thresholds for no speed-up and no loss; call fit_thresholds(..., "
                "speedup=...) or (..., max_loss=...)"
            )
        members = [load_member(folder, runtime, threads) for folder in listed]
        if max_length is None:
            max_length = min([128, *(member.positions for member in members if member.positions)])
        tokenizers = [load_tokenizer(folder) for folder in listed]
        cascade = cls(members, tokenizers, threshold, max_length)
        cascade.runtime = runtime
        return cascade

    @classmethod
    def _from_saved(
        cls,
        folder: Path,
        max_length: int | None,
        runtime: str,
        threads: int | None,
        *,
        threshold: float | Sequence[float] | None,
        speedup: float | None,
        max_loss: float | None,
    ) -> "Cascade":
        described = Description.load(folder)
        refuse_missing(folder, described)
        if max_length is None:
            max_length = described.max_length
        elif max_length != described.max_length:
            if max_loss is not None:
                raise UserError(
                    f"{folder} promises for texts of {described.max_length} tokens, and not of "
                    f"{max_length}; call fit_thresholds(..., max_loss=..., delta=...)"
                )
            described = described.forget_measured()
        places = [folder / member.folder for member in described.members]
        members = [load_member(place, runtime, threads) for place in places]
        tokenizers = load_tokenizers(folder, described)
        points = described.list_points(runtime)
        if speedup is not None:
            offered = {point.target: point for point in points if point.target is not None}
            points = [offered[choose(folder, f"speed-up on {runtime}", speedup, offered)]]
        if max_loss is not None:
            promised = {point.promise["max_loss"]: point for point in points if point.promise}
            points = [promised[choose(folder, f"promise on {runtime}", max_loss, promised)]]
        if threshold is None and points:
            threshold = points[0].thresholds
        cascade = cls(members, tokenizers, threshold, max_length)
        if cascade.classes != described.labels:
            raise UserError(
                f"the labels of the members in {folder} are {cascade.classes}, but its "
                f"cascade.json says {described.labels}; export the cascade again"
            )
        cascade.runtime, cascade.points = runtime, described.points
        cascade.saved = folder.absolute()  # the working directory may change
        cascade.temperatures = [member.temperature for member in described.members]
        return cascade

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
        from cascadebert.deployment.finished import find_cascade  # serving needs no experiment

        found = find_cascade(results, task, system, replicate)
        speedup = choose(found.results, "speed-up", speedup, found.thresholds)
        cascade = cls.from_pretrained(found.folders, found.thresholds[speedup], found.max_length)
        cascade.temperatures = found.temperatures
        return cascade

    def fit_thresholds(
        self,
        texts: Iterable[str],
        labels: Iterable[str | int],
        pairs: Iterable[str] | None = None,
        *,
        speedup: float | None = None,
        max_loss: float | None = None,
        delta: float | None = None,
    ) -> OperatingPoint:
        """Chooses thresholds on labelled texts that no member was trained on, and takes them.

        labels:   of each text, names or, where no name is a number, numbers of the classes
        speedup:  of the layers executed, against the last member alone; costs are computed from
                  depths and widths
        max_loss: the largest loss of accuracy against the last member, as a share (0.01 is one
                  point); the fastest such thresholds are taken
        delta:    with `max_loss`, the probability with which the loss on new texts may be larger,
                  see `promises.certify_threshold`; None promises nothing of new texts

        Returns the thresholds and what they give on these texts. Raises UserError unless there is
        one of `speedup` and `max_loss`, one known label for each text, and two members or more.
        """
        from cascadebert.deployment.thresholds import fit_thresholds  # serving needs none of it

        texts, labels = list_texts(texts, "texts"), list(labels)
        aims = {"speedup": speedup, "max_loss": max_loss, "delta": delta}
        point = fit_thresholds(self, texts, labels, pairs, **aims)
        self.thresholds = point.thresholds
        self.points = [point, *(other for other in self.points if other.aim != point.aim)]
        return point

    def save_pretrained(self, folder: File) -> None:
        """Writes the cascade to a folder from which `from_pretrained` loads it.

        Its runtime then takes its thresholds where none are asked for. The members are ordinary
        folders of `AutoModelForSequenceClassification`, unless their encoder has `pooling: mean`.
        Of a cascade that was loaded from a folder, all that is in there is copied, such as members
        for ONNX Runtime. A folder of a cascade is replaced, with all that is in it.

        Raises UserError if the folder holds files and no cascade, if it is inside the one that the
        cascade was loaded from, or if members were joined on ONNX Runtime.
        """
        from cascadebert.deployment.saving import save_cascade

        save_cascade(self, folder)

    def push_to_hub(self, name: str, private: bool = False, token: str | None = None) -> str:
        """Uploads what `save_pretrained` writes; returns the address of the commit.

        name:  <user>/<cascade>
        token: default: that of `hf auth login`

        Raises UserError, with the hub's reason, if the hub refuses.
        """
        from cascadebert.deployment.saving import push_cascade

        return push_cascade(self, name, private, token)

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
        if self.thresholds is None:
            raise UserError(
                "the cascade has no thresholds yet; call fit_thresholds, or give `threshold`"
            )
        reader = self._read(texts, pairs, batch_size)
        count = len(reader.texts)
        probabilities = np.empty((count, len(self.classes)))
        exits = np.zeros(count, dtype=np.int64)
        truncated = np.zeros(count, dtype=bool)
        waiting = np.arange(count)
        for index, threshold in enumerate([*self.thresholds, -np.inf]):
            if not len(waiting):
                break
            found, cut = reader.compute(index, waiting)
            truncated[waiting] |= cut
            # A later member that answers writes over these.
            probabilities[waiting] = found
            exits[waiting] = index
            waiting = waiting[found.max(axis=1) <= threshold]
        return Answers(self.classes, probabilities, exits, self.layers[exits], truncated)

    def compute_all(
        self,
        texts: str | Iterable[str],
        pairs: str | Iterable[str] | None = None,
        batch_size: int = 32,
    ) -> np.ndarray:
        """Returns the probabilities of every member, float64 `[texts, members, classes]`.

        All members run on all texts. Arguments and errors are those of a call.
        """
        reader = self._read(texts, pairs, batch_size)
        rows = np.arange(len(reader.texts))
        members = range(len(self.members))
        return np.stack([reader.compute(index, rows)[0] for index in members], axis=1)

    def _read(
        self,
        texts: str | Iterable[str],
        pairs: str | Iterable[str] | None,
        batch_size: int,
    ) -> Reader:
        """Checks texts, pairs and batch size."""
        texts = list_texts(texts, "texts")
        pairs = None if pairs is None else list_texts(pairs, "pairs")
        self._check_pairs(len(texts), None if pairs is None else len(pairs))
        if not is_count(batch_size) or batch_size < 1:
            raise UserError(f"batch_size is {batch_size!r}; give a whole number from 1 on")
        return Reader(self, texts, pairs, int(batch_size))

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
