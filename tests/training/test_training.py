from dataclasses import replace

import numpy as np
import pytest
import torch

from cascadebert.core.errors import UserError
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.checkpoint import Checkpoint, random_states, restore_random_states
from cascadebert.training.loop import (
    Examples,
    Regularisation,
    learning_rate,
    make_optimizer,
    predict,
    train,
)
from tests.tiny import BAD, GOOD, SETTINGS

RUN = Run("finetune", "bert-2")


def fit(encoders, task, splits, settings=SETTINGS, seed=0, **arguments):
    model = new_model(RUN, encoders["bert-2"], task.labels, (), seed)
    examples = Examples(splits["train"], splits["dev"], "accuracy")
    scores = train(model, examples, settings, seed=seed, name="test", **arguments)
    return model, scores


@pytest.fixture(scope="module")
def whole(encoders, task, splits):
    """A model whose training nothing interrupted, and its scores."""
    return fit(encoders, task, splits)


def test_it_learns_and_keeps_the_best_epoch(whole, splits):
    model, scores = whole
    assert max(scores) > 75
    predicted = predict(model, splits["dev"])[:, 0].argmax(-1)
    assert 100 * (predicted == splits["dev"].labels).mean() == pytest.approx(max(scores))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(encoders, task, splits):
    first, again, other = (
        predict(fit(encoders, task, splits, seed=seed)[0], splits["test"]).tobytes()
        for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("method", ["pabee", "berxit", "finetune"])
def test_added_exits_learn_at_a_rate_of_their_own(method, encoders, task, splits):
    settings = replace(SETTINGS, epochs=1, learning_rate=1e-4, exit_rate=10.0, weight_decay=0.0)

    def moved(settings) -> dict[str, float]:
        """How far each part of the model went, relatively to a step of Adam."""
        model = new_model(Run(method, "bert-2"), encoders["bert-2"], task.labels, (), 0)
        added = {p for part in model.added_exits() for p in part.parameters()}
        before = [p.detach().clone() for p in model.parameters()]
        one_batch = splits["train"].take(np.arange(settings.batch_size))
        examples = Examples(one_batch, splits["dev"], "accuracy")
        train(model, examples, settings, seed=0, name="one step")
        groups = {"added": [], "encoder": []}
        for p, old in zip(model.parameters(), before, strict=True):
            groups["added" if p in added else "encoder"].append((p - old).abs().max().item())
        return {name: max(steps, default=0) for name, steps in groups.items()}

    fast, slow = moved(settings), moved(replace(settings, exit_rate=1.0))
    assert fast["encoder"] == pytest.approx(slow["encoder"]) == pytest.approx(1e-4, rel=0.01)
    if method == "finetune":
        assert fast["added"] == 0  # its classifier is the encoder's own
    else:
        assert fast["added"] == pytest.approx(10 * slow["added"], rel=0.01)


def test_dar_lowers_the_confidence_of_difficult_examples(encoders, task, splits):
    """Here difficult is a sentence that has words of both sentiments."""
    data = splits["train"]
    words = task.splits["train"]["text"].str.split()
    difficult = np.array([bool(set(GOOD) & set(w)) and bool(set(BAD) & set(w)) for w in words])
    settings = replace(SETTINGS, epochs=8, difficulty_weight=2.0)
    plain, _ = fit(encoders, task, splits, settings)
    regularisation = Regularisation(difficult, margin=0.3)
    regularised, _ = fit(encoders, task, splits, settings, regularisation=regularisation)

    def confidence(model):
        return torch.from_numpy(predict(model, data)[:, 0]).softmax(-1).amax(-1).numpy()

    before, after = confidence(plain), confidence(regularised)
    assert after[difficult].mean() < before[difficult].mean() - 0.05
    gap_before, gap_after = (c[~difficult].mean() - c[difficult].mean() for c in (before, after))
    assert gap_after > gap_before + 0.05


def test_predictions_do_not_depend_on_how_they_are_batched(whole, splits):
    model, _ = whole
    whole, small = (predict(model, splits["test"], batch_size=size) for size in (128, 7))
    np.testing.assert_allclose(whole, small, atol=1e-5)
    order = np.random.default_rng(0).permutation(len(splits["test"]))
    np.testing.assert_allclose(predict(model, splits["test"].take(order)), whole[order], atol=1e-5)


def test_a_loss_that_is_not_finite_stops_with_its_step(encoders, task, splits):
    settings = replace(SETTINGS, learning_rate=1e30)
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at step \d+ of 60.*learning_rate"):
        fit(encoders, task, splits, settings)


def test_weight_decay_spares_biases_and_layernorm(encoders, task):
    model = new_model(RUN, encoders["bert-2"], task.labels, (), 0)
    groups = make_optimizer(model, SETTINGS).param_groups
    decayed, spared = (set(map(id, group["params"])) for group in groups)
    for name, parameter in model.named_parameters():
        plain = name.endswith("bias") or "LayerNorm" in name
        assert (id(parameter) in spared) == plain, name
        assert (id(parameter) in decayed) != plain, name


def test_the_learning_rate_rises_then_falls_to_zero():
    settings = replace(SETTINGS, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(100)]
    assert rates.index(max(rates)) in (9, 10)
    assert max(rates) == pytest.approx(1.0)
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] == pytest.approx(1 / 90)


class Killed(Exception):
    pass


@pytest.mark.parametrize("killed_at", [0, 7, 19, 20, 33, 59])
def test_an_interrupted_training_ends_with_the_same_bytes(
    killed_at, whole, encoders, task, splits, tmp_path
):
    """Saved after every step, and dead in another: in an epoch, at its end, in the evaluation."""
    model, scores = whole
    path = tmp_path / "state.safetensors"

    class Dying(Checkpoint):
        steps = 0

        def due(self):
            self.steps += 1
            if self.steps == killed_at + 1:
                raise Killed
            return True

    with pytest.raises(Killed):
        fit(encoders, task, splits, checkpoint=Dying(path))
    assert path.exists() == (killed_at > 0)
    again, scores_again = fit(encoders, task, splits, checkpoint=Checkpoint(path))
    assert scores_again == scores
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_damaged_state_is_as_good_as_none(whole, encoders, task, splits, tmp_path, caplog):
    path = tmp_path / "state.safetensors"
    fit(encoders, task, splits, checkpoint=Checkpoint(path, seconds=0))
    path.write_bytes(path.read_bytes()[:-50])
    _, scores = whole
    _, again = fit(encoders, task, splits, checkpoint=Checkpoint(path))
    assert again == scores
    assert "state.safetensors is damaged" in caplog.text


def test_a_gpu_goes_on_from_a_state_that_a_cpu_saved():
    states = random_states(torch.device("cpu"))
    expected = torch.rand(3)
    restore_random_states(states, torch.device("cuda"))
    assert torch.equal(torch.rand(3), expected)
