"""A cascade answers alike on every runtime, and alike whoever shares the batch."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cascadebert.core.errors import UserError
from cascadebert.data.tokens import encode_texts
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.export import export_member
from cascadebert.deployment.members import INT8, ONNX, OnnxMember
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.evaluation.choice import choose_knob
from cascadebert.systems.exits import CONFIDENCE


@pytest.fixture(scope="module")
def exported(trained, task, tmp_path_factory) -> list[Path]:
    """The folders of the members for ONNX Runtime."""
    folder = tmp_path_factory.mktemp("exported")
    texts = task.splits["train"]["text"].tolist()
    samples = [encode(texts[i : i + 16], trained[0][0]) for i in range(0, 320, 16)]
    for member in trained[0]:
        export_member(member, samples, folder / member.name)
    return [folder / member.name for member in trained[0]]


def encode(texts: list[str], member: Path) -> dict[str, np.ndarray]:
    return encode_texts(texts, None, load_tokenizer(member), 64).pad(np.arange(len(texts)))


@pytest.mark.parametrize("target", [0.8, 1.5])
def test_onnx_runtime_takes_the_exits_that_torch_takes(trained, exported, task, target):
    folders, predictions = trained
    texts = task.splits["test"]["text"].tolist()
    threshold = choose_knob(predictions["dev"], CONFIDENCE, "accuracy", target, full_cost=4)
    expected = Cascade.from_pretrained(folders, threshold, max_length=64)(texts)
    cascade = Cascade.from_pretrained(exported, threshold, 64, runtime="onnx", threads=1)
    for batch_size in (1, 16):
        got = cascade(texts, batch_size=batch_size)
        near = abs(predictions["test"].confidence[:, 0] - threshold) < 1e-5
        assert (got.exits == expected.exits)[~near].all()
        assert (got.labels == expected.labels)[~near].all()
        np.testing.assert_allclose(
            got.probabilities[~near], expected.probabilities[~near], atol=1e-5
        )


def test_in_int8_an_answer_does_not_depend_on_the_batch(trained, exported, task):
    texts = task.splits["test"]["text"].tolist()
    threshold = choose_knob(trained[1]["dev"], CONFIDENCE, "accuracy", 1.0, full_cost=4)
    cascade = Cascade.from_pretrained(exported, threshold, 64, runtime="onnx-int8", threads=1)
    alone, together = cascade(texts, batch_size=1), cascade(texts, batch_size=32)
    assert 0 < alone.exits.mean() < 1
    assert (alone.exits == together.exits).all()
    assert (alone.labels == together.labels).all()
    np.testing.assert_allclose(alone.probabilities, together.probabilities, atol=1e-5)


def test_int8_is_near_full_precision(exported, task):
    texts = task.splits["test"]["text"].tolist()
    inputs = encode(texts, exported[0])
    for folder in exported:
        full, int8 = (
            OnnxMember(folder, runtime, 1).compute_logits(inputs) for runtime in (ONNX, INT8)
        )
        assert 0 < abs(full - int8).max() < 0.3
        assert (full.argmax(axis=1) == int8.argmax(axis=1)).mean() > 0.95


def test_what_a_runtime_lacks_is_said(trained, exported, tmp_path):
    with pytest.raises(UserError, match="runtime is 'tensorrt'; choose from: torch, onnx"):
        Cascade.from_pretrained(exported, 0.9, runtime="tensorrt")
    with pytest.raises(UserError, match=r"model\.onnx is missing; export the cascade"):
        Cascade.from_pretrained(trained[0], 0.9, runtime="onnx")
    shutil.copytree(exported[0], tmp_path / "damaged")
    (tmp_path / "damaged/model.onnx").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"model\.onnx is damaged .*; export the cascade again"):
        Cascade.from_pretrained([tmp_path / "damaged", exported[1]], 0.9, runtime="onnx")
