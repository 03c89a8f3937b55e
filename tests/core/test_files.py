import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cascadebert.core.files import replacing


def write_file(path: Path) -> None:
    with replacing(path) as draft:
        draft.write_text("new")


def write_folder(path: Path) -> None:
    with replacing(path) as draft:
        (draft / "inside").mkdir(parents=True)
        np.savez(draft / "inside/numbers.npz", np.zeros(2))
        save_file({"weight": torch.zeros(2)}, draft / "model.safetensors")


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_content_is_on_the_disk_before_it_gets_its_name(write, tmp_path, monkeypatch):
    """After a power failure the name then stands for the whole content, or is not there."""
    done = []
    fsync, replace = os.fsync, os.replace

    def syncing(descriptor):
        done.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def renaming(source, target):
        done.append(("rename", sorted(Path(source).rglob("*"))))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "replace", renaming)
    write(tmp_path / "made")
    [at] = [i for i, (what, _) in enumerate(done) if what == "rename"]
    synced = {path for _, path in done[:at]}
    assert set(done[at][1]) <= synced
    assert {path.name for path in synced} >= {"made"}
    assert done[at + 1 :] == [("sync", tmp_path)]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_files_have_the_mode_that_the_umask_says(write, umask, tmp_path):
    before = os.umask(umask)
    try:
        write(tmp_path / "made")
        files = [p for p in [tmp_path / "made", *(tmp_path / "made").rglob("*")] if p.is_file()]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o666 & ~umask}
    finally:
        os.umask(before)


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_what_was_there_is_replaced_whatever_it_was(write, tmp_path):
    for earlier in (write_file, write_folder):
        path = tmp_path / earlier.__name__
        earlier(path)
        if path.is_dir() and write is write_file:
            shutil.rmtree(path)  # a file never takes the place of a folder
        elif path.is_file() and write is write_folder:
            path.unlink()
        write(path)
        assert path.is_dir() == (write is write_folder)
    assert {path.name for path in tmp_path.iterdir()} == {"write_file", "write_folder"}


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_what_fails_leaves_what_was_there(write, tmp_path):
    write(path := tmp_path / "made")
    before = [p.read_bytes() for p in sorted([path, *path.rglob("*")]) if p.is_file()]

    def fail() -> None:
        with replacing(path) as draft:
            draft.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fail()
    assert [p.read_bytes() for p in sorted([path, *path.rglob("*")]) if p.is_file()] == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_two_writers_at_once_have_drafts_of_their_own(write, tmp_path):
    with replacing(path := tmp_path / "made") as draft:
        write(path)
        assert path.exists()
        draft.mkdir() if path.is_dir() else draft.write_text("the last one")
    assert (list(path.iterdir()) == []) if path.is_dir() else path.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [path]


def test_the_draft_of_a_killed_process_is_deleted(tmp_path):
    (tmp_path / ".made.draft-killed/made").mkdir(parents=True)
    write_folder(tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_folder_stays_where_a_signal_stops_its_replacement(tmp_path, monkeypatch):
    def stop(source, target):
        raise KeyboardInterrupt

    write_folder(path := tmp_path / "made")
    (path / "old").touch()
    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_folder(path)
    assert (path / "old").exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_mounted_folder_is_refused_before_the_work(small_disk):
    for path in (small_disk, small_disk / "." / ""):
        with pytest.raises(OSError, match="what is mounted cannot be rep"), replacing(path):
            pytest.fail("the work was done in vain")
    write_folder(small_disk / "made")
    assert [path.name for path in small_disk.iterdir()] == ["made"]


def test_a_read_only_disk_is_told_with_the_file_that_was_asked_for(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match="Read-only") as told:
        write_file(small_disk / "made")
    assert told.value.filename == str(small_disk / "made")


def test_no_file_takes_the_place_of_a_folder(tmp_path):
    write_folder(tmp_path / "made")
    with pytest.raises(IsADirectoryError, match="made"):
        write_file(tmp_path / "made")
    assert (tmp_path / "made/inside/numbers.npz").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
