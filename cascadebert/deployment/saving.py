"""Writes a cascade to a folder, and a folder to the hub."""

import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.core.hub import limit_waiting, shorten_error
from cascadebert.deployment.compatibility import describe_tokenizer
from cascadebert.deployment.folder import Description, OperatingPoint, SavedMember, is_saved
from cascadebert.deployment.members import TorchMember

CARD = "README.md"
NOTE = (
    "\n> This copy reads texts of at most {length} tokens. The scores and promises below were "
    "measured with {measured}, and do not hold for it.\n"
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from cascadebert.deployment.cascade import Cascade


def save_cascade(cascade: "Cascade", out: File) -> None:
    """Writes what `Cascade.save_pretrained` describes."""
    refuse_other_files(out)
    if cascade.saved and cascade.saved.resolve() in Path(out).resolve().parents:
        raise UserError(f"{out} is in the folder of the cascade; name one outside {cascade.saved}")
    with replacing(out) as draft:
        if cascade.saved:
            shutil.copytree(cascade.saved, draft)
            described = Description.load(draft)
            _note_length(draft / CARD, described.max_length, cascade.max_length)
        else:
            draft.mkdir()
            for number, member in enumerate(cascade.members, 1):
                if not isinstance(member, TorchMember):
                    raise UserError(
                        "only torch can save members; load them with runtime='torch', or copy "
                        "the folders that they came from"
                    )
                member.model.save_pretrained(draft / f"member-{number}")
            described = Description(
                labels=cascade.classes,
                max_length=cascade.max_length,
                members=save_tokenizers(cascade.tokenizers, cascade.temperatures, draft),
                points=[],
            )
        described = replace(described, max_length=cascade.max_length, points=cascade.points)
        replace(described, points=_put_first(cascade, described)).save(draft)


def _note_length(card: Path, measured: int, length: int) -> None:
    """Says in a model card that its numbers are those of another length, if it is another one."""
    if length == measured or not card.is_file():
        return
    front, end, text = card.read_text(encoding="utf-8").partition("\n---\n")
    if earlier := re.match(NOTE.format(length=r"\d+", measured=r"(\d+)"), text):
        measured, text = int(earlier[1]), text[earlier.end() :]  # of a copy, which measured nothing
    note = "" if length == measured else NOTE.format(length=length, measured=measured)
    card.write_text(front + end + note + text, encoding="utf-8")


def _put_first(cascade: "Cascade", described: Description) -> list[OperatingPoint]:
    """The points, and before them the cascade's thresholds if loading would take others."""
    points = described.list_points(cascade.runtime)
    if not cascade.thresholds or (points and points[0].thresholds == cascade.thresholds):
        return described.points
    own = OperatingPoint(cascade.runtime, cascade.thresholds)
    return [own, *(point for point in described.points if point.aim != own.aim)]


def save_tokenizers(
    tokenizers: list["PreTrainedTokenizerBase"], temperatures: list[float], folder: Path
) -> list[SavedMember]:
    """Writes the tokenizers of member-1, member-2...: to the folder itself if all are equal.

    temperatures: of the members
    """
    shared = len({describe_tokenizer(tokenizer) for tokenizer in tokenizers}) == 1
    members = []
    pairs = zip(tokenizers, temperatures, strict=True)
    for number, (tokenizer, temperature) in enumerate(pairs, 1):
        name = f"member-{number}"
        place = "." if shared else name
        if not shared or number == 1:
            tokenizer.save_pretrained(folder / place)
        members.append(
            SavedMember(
                folder=name,
                tokenizer=place,
                padding=int(tokenizer.pad_token_id),
                inputs=tokenizer.model_input_names,
                temperature=temperature,
            )
        )
    return members


def refuse_other_files(out: File) -> None:
    """Raises UserError if a folder is there, and is none of a cascade: it would be replaced."""
    out = Path(out)
    if not out.name:
        raise UserError(f"{out} is the folder where you are, or the root; name another folder")
    may_be_replaced = out.is_dir() and (is_saved(out) or not any(out.iterdir()))
    if os.path.lexists(out) and not may_be_replaced:  # also a link that leads nowhere
        raise UserError(f"{out} is there, and holds no cascade; name another folder")


def push_cascade(cascade: "Cascade", name: str, private: bool, token: str | None) -> str:
    """Does what `Cascade.push_to_hub` describes."""
    from huggingface_hub import HfApi

    limit_waiting()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "cascade")
        save_cascade(cascade, folder)
        try:
            hub = HfApi(token=token)
            hub.create_repo(name, private=private, exist_ok=True)
            made = hub.upload_folder(
                repo_id=name, folder_path=folder, commit_message="Upload a cascade"
            )
        except Exception as error:  # whatever the hub or the network can raise
            raise UserError(
                f"{name} was not uploaded ({shorten_error(error)}); check the name and the token "
                "(hf auth login)"
            ) from error
    return str(made.commit_url)
