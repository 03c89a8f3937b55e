"""Checksums of the files that jobs make. A damaged file is found before a job reads it.

Files of checksums are in the format of `sha256sum --check`.
"""

import hashlib
import shutil
from pathlib import Path

from cascadebert.core.files import File, replacing


def hash_file(path: File) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_visible(path: Path) -> list[Path]:
    """Returns a file itself, or the sorted files of a folder and its subfolders but hidden ones."""
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    # Hidden files are Snakemake's time stamps and our checksums.
    return [file for file in inside if file.is_file() and not file.name.startswith(".")]


def write_checksums(path: File, checksums: File, base: File) -> None:
    """Writes the checksums of a file, or of all files in a folder, to the file `checksums`.

    base: the folder that the names in `checksums` are relative to
    """
    lines = [f"{hash_file(file)}  {file.relative_to(base)}" for file in list_visible(Path(path))]
    with replacing(checksums) as draft:
        # The count tells whether the list itself is whole. To sha256sum it is a comment.
        draft.write_text("\n".join([f"# {len(lines)} files", *lines, ""]))


def find_damage(path: File, checksums: File, base: File) -> str | None:
    """Checks a file or folder by its file of checksums; returns the first damage, or None."""
    try:
        count, *lines = Path(checksums).read_text().splitlines()
        expected = {name: checksum for checksum, name in (line.split("  ", 1) for line in lines)}
        if count != f"# {len(expected)} files":
            raise ValueError(count)
    except (FileNotFoundError, ValueError):
        return f"{checksums} is missing or damaged"
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
        """Returns the checksum file of `path`; None for a path outside the experiment's folder."""
        if not Path(path).is_relative_to(self.results):
            return None
        name = Path(path).relative_to(self.results)
        return self.results / "checksums" / name.with_name(f"{name.name}.sha256")

    def record(self, path: File) -> None:
        if entry := self._entry(path):
            write_checksums(path, entry, self.results)

    def discard_damaged(self, path: File) -> str | None:
        """Deletes a damaged `path`, so that it is made again; returns the damage, or None.

        A path without checksums passes. Nothing can be said of it, and it may be all that the user
        has: results that were copied from a bucket or from another machine have no checksums.
        Snakemake itself makes again what an interrupted job left.
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
