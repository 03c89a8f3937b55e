"""Checksums of what jobs make, so that a damaged file is found when it is read.

The files are in the format of `sha256sum --check`.
"""

import hashlib
import shutil
from pathlib import Path

from cascadebert.core.files import File, replacing

File = File


def hash_file(path: File) -> str:
    """The sha256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_visible(path: Path) -> list[Path]:
    """A file, or the files in a folder and its subfolders but for hidden ones, in order."""
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    # Snakemake's own time stamps and our checksums are no content.
    return [file for file in inside if file.is_file() and not file.name.startswith(".")]


def write_checksums(path: File, target: File, base: File) -> None:
    """Writes to `target` the checksums of a file or of all files in a folder.

    base: the folder that the names in it are relative to
    """
    lines = [f"{hash_file(file)}  {file.relative_to(base)}" for file in list_visible(Path(path))]
    with replacing(target) as draft:
        # The count, a comment to sha256sum, tells whether the list itself is whole.
        draft.write_text("\n".join([f"# {len(lines)} files", *lines, ""]))


def find_damage(path: File, target: File, base: File) -> str | None:
    """What is wrong with a file or folder by the checksums in `target`; None if nothing is."""
    try:
        count, *lines = Path(target).read_text().splitlines()
        expected = {name: found for found, name in (line.split("  ", 1) for line in lines)}
        if count != f"# {len(expected)} files":
            raise ValueError(count)
    except (FileNotFoundError, ValueError):
        return f"{target} is missing or damaged"
    present = {str(file.relative_to(base)): file for file in list_visible(Path(path))}
    for name in expected:
        if name not in present:
            return f"{Path(base, name)} is missing"
        if hash_file(present[name]) != expected[name]:
            return f"{Path(base, name)} is damaged"
    return None


class Ledger:
    """The checksums of an experiment's files, in its folder checksums/."""

    def __init__(self, results: File):
        self.results = Path(results)

    def _entry(self, path: File) -> Path | None:
        """Where the checksums of `path` are; None if it does not lie in the experiment's folder."""
        if not Path(path).is_relative_to(self.results):
            return None
        name = Path(path).relative_to(self.results)
        return self.results / "checksums" / name.with_name(f"{name.name}.sha256")

    def record(self, path: File) -> None:
        if entry := self._entry(path):
            write_checksums(path, entry, self.results)

    def discard_damaged(self, path: File) -> str | None:
        """Says what is damaged, if something is, and deletes `path`, so that it is made again.

        What has no checksums, because no job made it, passes.
        """
        entry = self._entry(path)
        if entry is None or not entry.exists() or not Path(path).exists():
            return None
        found = find_damage(path, entry, self.results)
        if found:
            remove(path)
        return found


def remove(path: File) -> None:
    """Deletes a file or a folder."""
    shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
