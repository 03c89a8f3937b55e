"""A member answers alike on every runtime, and alike whoever shares the batch."""

import json
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


@pytest.fixture(scope="module")
def exported(trained, task, tmp_path_factory) -> Path:
    """The folder of the last member, which reads the mean of the tokens, for ONNX Runtime."""
    folder, member = tmp_path_factory.mktemp("exported") / "member", trained[0][-1]
    texts = task.splits["train"]["text"].tolist()
    export_member(member, [encode(texts[i : i + 16], member) for i in range(0, 320, 16)], folder)
    return folder


def encode(texts: list[str], member: Path) -> dict[str, np.ndarray]:
    return encode_texts(texts, None, load_tokenizer(member), 64).pad(np.arange(len(texts)))


def compute_logits(folder: Path, runtime: str, texts: list[str], batch_size: int) -> np.ndarray:
    member = OnnxMember(folder, runtime, 1)
    parts = [texts[i : i + batch_size] for i in range(0, len(texts), batch_size)]
    return np.concatenate([member.compute_logits(encode(part, folder)) for part in parts])


@pytest.mark.parametrize("batch_size", [1, 16])
def test_onnx_runtime_answers_as_torch(trained, exported, task, batch_size):
    """tests/workflow/test_export.py has the exits of a whole cascade."""
    found = compute_logits(exported, ONNX, task.splits["test"]["text"].tolist(), batch_size)
    np.testing.assert_allclose(found, trained[1]["test"].logits[:, -1], atol=1e-5)


def test_in_int8_an_answer_does_not_depend_on_the_batch(exported, task):
    texts = task.splits["test"]["text"].tolist()
    alone, together = (compute_logits(exported, INT8, texts, size) for size in (1, 32))
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_int8_is_near_full_precision(exported, task):
    texts = task.splits["test"]["text"].tolist()
    full, int8 = (compute_logits(exported, runtime, texts, 32) for runtime in (ONNX, INT8))
    assert 0 < abs(full - int8).max() < 0.3
    assert (full.argmax(axis=1) == int8.argmax(axis=1)).mean() > 0.95


def test_what_a_runtime_lacks_is_said(trained, exported, tmp_path):
    with pytest.raises(UserError, match="runtime is 'tensorrt'; choose from: torch, onnx"):
        Cascade.from_pretrained(trained[0], 0.9, runtime="tensorrt")
    with pytest.raises(UserError, match=r"model\.onnx is missing; export the cascade"):
        Cascade.from_pretrained(trained[0], 0.9, runtime="onnx")
    shutil.copytree(exported, tmp_path / "damaged")
    (tmp_path / "damaged/model.onnx").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"model\.onnx is damaged .*; export the cascade again"):
        Cascade.from_pretrained([tmp_path / "damaged", exported], 0.9, runtime="onnx")


def test_a_file_with_other_classes_is_told(exported, tmp_path):
    shutil.copytree(exported, other := tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["id2label"] |= {"2": "neither"}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"model\.onnx has 2 classes, but the config.*beside it 3;"):
        OnnxMember(other, ONNX)
    for damaged in (["negative", "positive"], {"negative": 0, "positive": 1}):
        (other / "config.json").write_text(json.dumps(config | {"id2label": damaged}))
        with pytest.raises(UserError, match=r"config\.json: its id2label is damaged"):
            OnnxMember(other, ONNX)
