import numpy as np
import pytest

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions

ARRAYS = {
    "logits": np.zeros((3, 2, 2), np.float32),
    "costs": np.array([1.0, 2.0]),
    "ids": np.array(["a", "b", "c"]),
    "labels": np.array([0, 1, -1]),
}


def test_saved_and_loaded(tmp_path):
    Predictions(**ARRAYS).save(tmp_path / "test.npz")
    loaded = Predictions.load(tmp_path / "test.npz")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(getattr(loaded, name), array)


def test_a_later_model_costs_what_the_earlier_ones_did_too():
    small, large = (
        Predictions(**ARRAYS | {"logits": np.full((3, 2, 2), number), "costs": costs})
        for number, costs in enumerate((np.array([1.0, 2.0]), np.array([6.0, 12.0])))
    )
    both = small.followed_by(large)
    assert both.costs.tolist() == [1, 2, 8, 14]
    assert both.logits[:, :, 0].tolist() == [[0, 0, 1, 1]] * 3
    other = Predictions(**ARRAYS | {"ids": np.array(["a", "c", "b"])})
    with pytest.raises(ValueError, match="different examples"):
        small.followed_by(other)


@pytest.mark.parametrize("changed", [{"costs": np.ones(3)}, {"labels": np.zeros(2)}])
def test_arrays_that_do_not_fit_are_no_predictions(tmp_path, changed):
    np.savez(tmp_path / "test.npz", **ARRAYS | changed)
    message = r"test\.npz is damaged or no predictions file \(logits .* do not fit .*\); delete it"
    with pytest.raises(UserError, match=message):
        Predictions.load(tmp_path / "test.npz")


def test_a_damaged_or_another_file_is_named(tmp_path):
    path = tmp_path / "test.npz"
    path.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UserError, match=r"test\.npz is damaged"):
        Predictions.load(path)
    np.savez(path, logits=ARRAYS["logits"])
    with pytest.raises(UserError, match=r"no predictions file \(.*costs.*\); delete it and run"):
        Predictions.load(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        Predictions.load(path)
