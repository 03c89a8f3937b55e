"""The folder of a saved cascade: cascade.json, and beside it the members and their tokenizers."""

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cascadebert
from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.core.hub import limit_waiting, shorten_error
from cascadebert.deployment.light import TOKENIZER, FastTokenizer
from cascadebert.deployment.members import ONNX, TORCH
from cascadebert.encoders.loading import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DESCRIPTION = "cascade.json"
FORMAT = 2  # 1 had no temperatures
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds of a cascade, and what they gave.

    runtime:    on whose confidences they were chosen
    thresholds: one for each member but the last
    target:     the speed-up for which they were chosen, or None
    promise:    max_loss and delta, for which they were chosen, or None
    measured:   split -> n, score (in percent) and speedup. Fitted thresholds and promises have
                full_score, too, of the last member alone. An exported cascade has the bounds of
                95% intervals: low and high of the score, or of the loss of a promise; and
                speedup_low and speedup_high, which a promise has not
    """

    runtime: str
    thresholds: list[float]
    target: float | None = None
    promise: dict[str, float] | None = None
    measured: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def aim(self) -> tuple[str, float | None, float | None]:
        """Runtime, speed-up and promised loss; a cascade has one point for each."""
        return self.runtime, self.target, self.promise["max_loss"] if self.promise else None


@dataclass(frozen=True)
class SavedMember:
    """Where a member lies, relative to the cascade's folder, and how it reads texts.

    tokenizer: the folder of its tokenizer
    padding:   the id that pads a batch
    inputs:    the names of what it reads
    temperature: by which its logits are divided
    """

    folder: str
    tokenizer: str
    padding: int
    inputs: list[str]
    temperature: float = 1.0


@dataclass(frozen=True)
class Description:
    """What cascade.json says.

    points:  the first of each runtime is used where a user asks for none
    about:   where the cascade comes from, and how the files of its task are written; `predict` and
             `bench` read other files so unless told otherwise
    version: of this library, which wrote the file
    """

    labels: list[str]
    max_length: int
    members: list[SavedMember]
    points: list[OperatingPoint]
    about: dict[str, Any] = field(default_factory=dict)
    version: str = cascadebert.__version__
    format: int = FORMAT

    def list_points(self, runtime: str) -> list[OperatingPoint]:
        """The operating points of a runtime, in their order.

        ONNX Runtime in full precision has torch's, too, for aims for which it has none of its own.
        """
        own = [point for point in self.points if point.runtime == runtime]
        if runtime != ONNX:
            return own
        aims = [point.aim[1:] for point in own]
        return own + [point for point in self.list_points(TORCH) if point.aim[1:] not in aims]

    def forget_measured(self) -> "Description":
        """With the thresholds for speed-ups alone: no promises, and nothing that was measured."""
        kept = [replace(point, measured={}) for point in self.points if not point.promise]
        return replace(self, points=kept)

    def save(self, folder: File) -> None:
        """Writes cascade.json."""
        written = replace(self, version=cascadebert.__version__, format=FORMAT)
        text = json.dumps(asdict(written), indent=2, ensure_ascii=False) + "\n"
        Path(folder, DESCRIPTION).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: File) -> "Description":
        """Raises UserError if the file is damaged or of a later version."""
        path = Path(folder, DESCRIPTION)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] > FORMAT:
                raise UserError(
                    f"{path} was written by version {values['version']} of cascadebert; install "
                    "that version or a later one"
                )
            values["members"] = [SavedMember(**entry) for entry in values["members"]]
            values["points"] = [OperatingPoint(**entry) for entry in values["points"]]
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is damaged ({shorten_error(error)}); export the cascade again"
            ) from error


def load_tokenizers(folder: Path, described: Description) -> list["PreTrainedTokenizerBase"]:
    """Returns the tokenizer of each member; transformers loads what is no tokenizer.json."""
    found: dict[str, Any] = {}
    for member in described.members:
        place = folder / member.tokenizer
        if member.tokenizer not in found:
            found[member.tokenizer] = (
                FastTokenizer(place, member.padding, member.inputs)
                if (place / TOKENIZER).is_file()
                else load_tokenizer(place)
            )
    return [cast("PreTrainedTokenizerBase", found[m.tokenizer]) for m in described.members]


def refuse_missing(folder: Path, described: Description) -> None:
    """Raises UserError if a folder that cascade.json names is missing.

    Its name would be looked up on the hub.
    """
    for member in described.members:
        for name in (member.folder, member.tokenizer):
            if not (folder / name).is_dir():
                raise UserError(
                    f"{folder / name} is missing, which {DESCRIPTION} names; copy or export the "
                    "cascade again"
                )


def is_saved(folder: File) -> bool:
    return Path(folder, DESCRIPTION).is_file()


def find_folder(name: File) -> Path:
    """Returns the folder of a saved cascade: a local one, or that of a cascade on the hub.

    Raises UserError if it is neither.
    """
    folder = Path(name)
    if is_saved(folder):
        return folder
    if (folder / "config.yaml").is_file():
        raise UserError(
            f"{folder} has no {DESCRIPTION}; if it holds the results of an experiment, write its "
            "cascade to a folder with `cascadebert export`, or use Cascade.from_results"
        )
    if isinstance(name, str) and HUB_NAME.fullmatch(name) and not folder.exists():
        return _fetch(name)
    if not folder.exists():
        raise UserError(
            f"{folder}: there is no such folder; give that of an exported cascade, the name of one "
            "on the hub (user/model), or a list of folders, the smallest model first"
        )
    raise UserError(
        f"{str(name)!r} is one folder; give a list, the smallest model first, or the folder of an "
        f"exported cascade, which has a {DESCRIPTION}"
    )


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download

    limit_waiting()
    try:
        folder = Path(snapshot_download(name))
    except Exception as error:  # whatever the hub or the network can raise
        raise UserError(
            f"{name} is no folder here, and no cascade of the hub that can be reached "
            f"({shorten_error(error)}); correct the name"
        ) from error
    if not is_saved(folder):
        raise UserError(f"{name} on the hub has no {DESCRIPTION}, so it is no cascade")
    return folder
