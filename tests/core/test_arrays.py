import numpy as np
import pytest

from cascadebert.core.arrays import load_arrays
from cascadebert.core.errors import UserError


def test_arrays_are_read_by_name(tmp_path):
    np.savez(tmp_path / "sizes.npz", small=np.arange(3), large=np.ones((2, 2)))
    with load_arrays(tmp_path / "sizes.npz", "file of sizes") as stored:
        assert list(stored) == ["small", "large"]
        np.testing.assert_array_equal(stored["small"], [0, 1, 2])


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_cut_file_is_named(tmp_path, share):
    path = tmp_path / "sizes.npz"
    np.savez(path, small=np.arange(300))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    message = r"sizes\.npz is damaged or no file of sizes \(.*\); delete it and run again"
    with pytest.raises(UserError, match=message), load_arrays(path, "file of sizes") as stored:
        dict(stored)


def test_a_changed_byte_is_found(tmp_path):
    path = tmp_path / "sizes.npz"
    np.savez(path, small=np.arange(300))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with (
        pytest.raises(UserError, match=r"sizes\.npz is damaged"),
        load_arrays(path, "file of sizes") as stored,
    ):
        dict(stored)


@pytest.mark.parametrize("name", ["other.npz", "other.npy"])
def test_another_file_is_told(tmp_path, name):
    path = tmp_path / name
    (np.savez if path.suffix == ".npz" else np.save)(path, np.arange(3))
    with (
        pytest.raises(UserError, match=rf"{name} is damaged or no file of sizes"),
        load_arrays(path, "file of sizes") as stored,
    ):
        stored["small"]


def test_too_little_memory_is_not_called_damage(tmp_path):
    np.savez(tmp_path / "sizes.npz", small=np.arange(3))
    with (
        pytest.raises(MemoryError, match="Unable to allocate"),
        load_arrays(tmp_path / "sizes.npz", "file of sizes"),
    ):
        raise MemoryError("Unable to allocate 3.1 GiB")


def test_a_missing_file_is_not_called_damaged(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"none\.npz"),
        load_arrays(tmp_path / "none.npz", "file of sizes"),
    ):
        pass
