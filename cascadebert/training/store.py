"""Keeps finished trainings under a name of what they depend on, so that none is done twice.

A job makes several trainings. Snakemake removes the outputs of a job that was interrupted, or that
has to make one more of them. The trainings that the job had finished are still in the store.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascadebert.core.checksums import find_damage, hash_file, list_visible, remove, write_checksums
from cascadebert.core.files import File, replacing
from cascadebert.core.sources import LIBRARY, find_sources
from cascadebert.training.checkpoint import SAVE_SECONDS, Checkpoint, stopping_when_asked
from cascadebert.training.records import MACHINE, package_versions

log = logging.getLogger(__name__)


def fingerprint(
    description: dict[str, Any],
    files: Iterable[File],
    modules: Iterable[str],
    packages: Iterable[str] = (),
) -> str:
    """A name for the result of a training: of its description, its input files, and its code.

    The code is that of this library, and the versions of torch, transformers and `packages`.

    description: anything that JSON can say
    files:       files, or folders with all that is in them
    modules:     of the library; their code counts, and the code that they import
    packages:    others that compute a part of this result
    """
    parts = [json.dumps(description, sort_keys=True), package_versions(*packages)]
    parts += [f"{path.relative_to(LIBRARY)} {hash_file(path)}" for path in find_sources(*modules)]
    for path in map(Path, files):
        # On which machine a parent was trained is no content.
        contents = [file for file in list_visible(path) if file.name != MACHINE]
        parts += [f"{file.relative_to(path)} {hash_file(file)}" for file in contents]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Store:
    """A folder of finished trainings, and of the states of those that were interrupted.

    save_seconds: how old the state of a running training may be
    """

    folder: File
    save_seconds: float = SAVE_SECONDS

    def once(self, key: str, output: File, make: Callable[[Path, Checkpoint], None]) -> None:
        """Puts at `output` the result that `make` writes, or wrote for this key before.

        The store and the output share their disk space (hard links, where the file system has
        them).
        """
        put(self.keep(key, make), output)

    def keep(self, key: str, make: Callable[[Path, Checkpoint], None]) -> Path:
        """Returns where the result lies that `make` writes, or wrote for this key before.

        make: is given the path to write to, and a checkpoint that outlives an interruption
        """
        kept = Path(self.folder, key)
        sums = kept / ".sha256"
        if kept.exists() and (found := find_damage(kept, sums, kept)):
            log.warning("%s: trained again", found)
            remove(kept)
        if not kept.exists():
            state = Path(self.folder, f"{key}.state.safetensors")
            checkpoint = Checkpoint(state, self.save_seconds)
            with stopping_when_asked():
                with replacing(kept) as draft:
                    draft.mkdir()
                    make(draft / "made", checkpoint)
                    write_checksums(draft, draft / sums.name, draft)
                checkpoint.remove()
        return kept / "made"


def put(kept: Path, output: File) -> None:
    """Puts a result of the store, a file or a folder, at `output`."""
    with replacing(output) as draft:
        if kept.is_dir():
            shutil.copytree(kept, draft, copy_function=_link)
        else:
            _link(kept, draft)


def _link(source: File, target: File) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
