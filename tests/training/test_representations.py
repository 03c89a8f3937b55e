import numpy as np
import pytest
import torch

from cascadebert.core.errors import UserError
from cascadebert.data.tokens import TokenizedSplit
from cascadebert.encoders.loading import load_encoder
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.representations import (
    EXAMPLES,
    States,
    read_first_token_states,
    represent_run,
    silhouette,
    tsne,
)
from cascadebert.training.stages import Job
from cascadebert.training.tokenizing import tokenize_task


def blobs(distance: float, examples: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], examples // 3)
    states = rng.normal(size=(examples, 8)).astype(np.float32)
    states[:, 0] += distance * labels
    return states, labels


def test_silhouette_is_the_definition():
    states, labels = blobs(2.0)
    values = []
    for i, state in enumerate(states):
        distance = np.linalg.norm(states.astype(float) - state, axis=1)
        others = np.arange(len(states)) != i
        own = distance[(labels == labels[i]) & others].mean()
        nearest = min(distance[labels == k].mean() for k in range(3) if k != labels[i])
        values.append((nearest - own) / max(nearest, own))
    assert silhouette(states, labels) == pytest.approx(np.mean(values), abs=1e-5)
    assert np.isnan(silhouette(states, np.zeros(len(states), int)))


def test_tsne_is_the_same_every_time_and_keeps_near_ones_near():
    states, labels = blobs(20.0)
    points = tsne(states, seed=1)
    np.testing.assert_array_equal(points, tsne(states, seed=1))
    assert silhouette(points, labels) > 0.5
    assert tsne(states[:5], seed=1).shape == (5, 2)


@pytest.fixture(scope="module")
def tokens(task, encoders, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "words"
    tokenize_task(task, encoders["bert-4"], 32, folder)
    return folder


@pytest.mark.parametrize("method", ["finetune", "pabee"])
def test_states_are_those_of_the_encoder_one_example_at_a_time(method, encoders, task, tokens):
    run = Run(method, "bert-4")
    model = new_model(run, encoders["bert-4"], task.labels, (), seed=0)
    data = TokenizedSplit.load(tokens / "test.npz").take(np.arange(20))
    states = read_first_token_states(model, data, layers=2, batch_size=7)
    assert states.dtype == np.float32
    shallow = load_encoder(encoders["bert-4"], layers=2).eval()
    with torch.inference_mode():
        for i in range(20):
            expected = shallow(**data.batch(np.array([i]))).last_hidden_state[0, 0]
            np.testing.assert_allclose(states[i], expected, atol=1e-5)


def test_a_run_is_represented_at_its_exit(encoders, task, tokens, tmp_path):
    run, encoder = Run("pabee", "bert-4"), encoders["bert-4"]
    new_model(run, encoder, task.labels, (), seed=3).save(tmp_path / "model")

    def represent(layers: int, path) -> States:
        folder = tmp_path / "model"
        job = Job(task=task, tokens=tokens, run=run, encoder=encoder, seed=5)
        represent_run(job, folder, layers, path)
        return States.load(path)

    found = represent(3, tmp_path / "a.npz")
    assert found.exit == 2
    assert found.states.shape == (len(task.splits["test"]), 32)
    gold = task.splits["test"].set_index("id")["label"]
    assert list(found.labels) == list(gold[found.ids])
    assert (tmp_path / "a.npz").read_bytes() == (
        represent(3, tmp_path / "b.npz") and (tmp_path / "b.npz").read_bytes()
    )
    with pytest.raises(UserError, match=r"representations\.layers: .* no exit after 5 layers"):
        represent(5, tmp_path / "c.npz")
    assert not (tmp_path / "c.npz").exists()


def test_large_splits_are_drawn_from_the_same_for_every_run(
    encoders, task, tokens, tmp_path, monkeypatch
):
    monkeypatch.setattr("cascadebert.training.representations.EXAMPLES", 30)
    ids = []
    for method, encoder in (("pabee", "bert-4"), ("finetune", "bert-2")):
        run = Run(method, encoder)
        new_model(run, encoders[encoder], task.labels, (), seed=3).save(tmp_path / method)
        path = tmp_path / f"{method}.npz"
        job = Job(task=task, tokens=tokens, run=run, encoder=encoders[encoder], seed=5)
        represent_run(job, tmp_path / method, 2, path)
        ids.append(States.load(path).ids)
    assert len(set(ids[0])) == 30 < EXAMPLES
    np.testing.assert_array_equal(*ids)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "states.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"states\.npz is damaged"):
        States.load(tmp_path / "states.npz")
