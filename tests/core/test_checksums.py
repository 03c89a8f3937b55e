import shutil
import subprocess

import numpy as np
import pytest

from cascadebert.core.checksums import Ledger


@pytest.fixture
def results(tmp_path):
    """A folder and a file as jobs make them, with their checksums."""
    folder = tmp_path / "results" / "small"
    (folder / "models" / "seed0").mkdir(parents=True)
    draw = np.random.default_rng(0)
    (folder / "models" / "seed0" / "model.safetensors").write_bytes(draw.bytes(1000))
    (folder / "models" / "seed0" / "epochs.csv").write_text("epoch,dev_score\n1,80\n")
    (folder / "labels.parquet").write_bytes(draw.bytes(500))
    for name in ("models/seed0", "labels.parquet"):
        Ledger(folder).record(folder / name)
    return folder


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.slow
def test_what_is_whole_passes_and_sha256sum_agrees(results):
    ledger = Ledger(results)
    (results / "models" / "seed0" / ".snakemake_timestamp").touch()
    for name in ("models/seed0", "labels.parquet"):
        assert ledger.discard_damaged(results / name) is None
    for entry in (results / "checksums").rglob("*.sha256"):
        command = ["sha256sum", "--check", "--strict", entry.relative_to(results)]
        assert subprocess.run(command, cwd=results, capture_output=True).returncode == 0


@pytest.mark.parametrize("bit", [0, 4001, 7999])
def test_every_bit_counts(results, bit):
    weights = results / "models" / "seed0" / "model.safetensors"
    flip(weights, bit)
    assert Ledger(results).discard_damaged(weights.parent) == f"{weights} is damaged"
    assert not weights.parent.exists()
    assert (results / "labels.parquet").exists()


def test_a_cut_tail_and_a_lost_file_are_named(results):
    labels = results / "labels.parquet"
    labels.write_bytes(labels.read_bytes()[:-1])
    assert Ledger(results).discard_damaged(labels) == f"{labels} is damaged"
    assert not labels.exists()
    (results / "models" / "seed0" / "epochs.csv").unlink()
    found = Ledger(results).discard_damaged(results / "models" / "seed0")
    assert found == f"{results / 'models' / 'seed0' / 'epochs.csv'} is missing"


def test_damaged_checksums_are_damage(results):
    entry = results / "checksums" / "labels.parquet.sha256"
    for content in (b"", b"no checksum", b"\xff\xfe", entry.read_bytes().replace(b"l", b"m")):
        (results / "labels.parquet").write_bytes(b"labels")
        entry.write_bytes(content)
        assert Ledger(results).discard_damaged(results / "labels.parquet")


def test_what_lies_outside_the_results_passes(results, tmp_path):
    (tmp_path / "corpus.txt").write_text("a user's own file")
    assert Ledger(results).discard_damaged(tmp_path / "corpus.txt") is None
    assert (tmp_path / "corpus.txt").exists()


def test_a_path_without_checksums_is_kept(results):
    """As after `aws s3 sync`: checksums stay in the pods."""
    (results / "new").write_text("not recorded")
    assert Ledger(results).discard_damaged(results / "new") is None
    assert (results / "new").exists()
    shutil.rmtree(results / "checksums")
    for name in ("models/seed0", "labels.parquet"):
        assert Ledger(results).discard_damaged(results / name) is None
        assert (results / name).exists()
