import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from cascadebert.core.errors import UserError
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.data.states import States
from cascadebert.data.tokens import TokenizedSplit
from cascadebert.encoders.loading import load_encoder
from cascadebert.evaluation.separation import silhouette, tsne
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.probes import read_exits
from cascadebert.training.representations import EXAMPLES, represent_run
from cascadebert.training.stages import Job
from cascadebert.training.tokenizing import tokenize_task
from tests.systems.test_systems import run_of
from tests.tiny import untrained


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
    # A configuration may have any seed, such as the time of day.
    np.testing.assert_array_equal(points, tsne(states, seed=1 + 2**32))


@pytest.mark.slow
def test_the_script_of_the_figure_loads_no_torch():
    scripts = WORKFLOW_FOLDER / "workflow_scripts"
    text = (scripts / "figure4_representations.py").read_text()
    code = [*re.findall(r"^(?:from|import) .*", text, re.MULTILINE), "import sys"]
    code.append("sys.exit(' '.join({'torch', 'transformers'} & set(sys.modules)))")
    path = os.pathsep.join([str(scripts), str(WORKFLOW_FOLDER)])
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert result.stderr.strip() == ""


@pytest.fixture(scope="module")
def tokens(task, encoders, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "words"
    tokenize_task(task, encoders["bert-4"], 32, folder)
    return folder


@pytest.mark.parametrize(
    ("method", "pooling", "of_encoder", "read"),
    [
        ("finetune", "first", "first", ["first"]),
        ("finetune", "mean", "first", ["mean"]),
        ("pabee", "first", "mean", ["first"] * 4),
        ("pabee", "mean", "first", ["mean"] * 4),
        # The last exit is the fine-tuned model's own.
        ("linear", "mean", "first", ["mean", "mean", "mean", "first"]),
        ("linear", "first", "mean", ["first", "first", "first", "mean"]),
        ("fastbert", "first", "first", ["mean"] * 4),  # its heads attend to all tokens
    ],
)
def test_states_are_what_each_exit_reads_one_example_at_a_time(
    method, pooling, of_encoder, read, encoders, tokens, tmp_path
):
    run = run_of(method, "bert-4", pooling=pooling).pooled_as({"bert-4": of_encoder})
    model = untrained(run, encoders, tmp_path)
    data = TokenizedSplit.load(tokens / "test.npz").take(np.arange(20))
    _, states = read_exits(model, data)
    assert states.dtype == np.float32
    for exit, depth in enumerate(model.depths):
        shallow = load_encoder(encoders["bert-4"], layers=depth).eval()
        with torch.inference_mode():
            for i in range(20):
                [seen] = shallow(**data.batch(np.array([i]))).last_hidden_state
                expected = seen[0] if read[exit] == "first" else seen.mean(dim=0)
                np.testing.assert_allclose(states[i, exit], expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_a_run_is_represented_by_what_its_exit_reads(pooling, encoders, task, tokens, tmp_path):
    run, encoder = Run("pabee", "bert-4", (("pooling", pooling),)), encoders["bert-4"]
    model = new_model(run, encoder, task.labels, (), seed=3)
    model.save(tmp_path / "model")

    def represent(layers: int, path) -> States:
        folder = tmp_path / "model"
        job = Job(task=task, tokens=tokens, run=run, encoder=encoder, seed=5)
        represent_run(job, folder, layers, path)
        return States.load(path)

    found = represent(3, tmp_path / "a.npz")
    assert found.exit == 2
    _, states = read_exits(model, TokenizedSplit.load(tokens / "test.npz"))
    np.testing.assert_allclose(found.states, states[:, 2], atol=1e-5)
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
