"""Writes fine-tuned classifiers as ONNX files: in full precision, and with int8 weights."""

import errno
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.deployment.members import FILES, INT8, ONNX
from cascadebert.encoders.loading import (
    count_positions,
    count_words,
    label_names,
    load_classifier,
    load_config,
    load_tokenizer,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Batch = Mapping[str, np.ndarray]  # a padded batch of a tokenizer, int64 `[texts, tokens]`


def export_member(folder: File, samples: Sequence[Batch], out: File) -> None:
    """Writes a classifier's ONNX files, with its configuration and tokenizer, to the folder `out`.

    folder:  the classifier in Hugging Face layout
    samples: batches of texts as those that the classifier will read; the scales of int8 come from
             them

    Raises UserError if there is no sample.
    """
    if not samples:
        raise UserError(f"{folder}: there is no sample; give texts as those that it will read")
    config = load_config(folder)
    model = load_classifier(folder, label_names(config)).eval()
    model.requires_grad_(False)  # else the exporter spends time on gradients
    with replacing(out) as draft:
        draft.mkdir()
        config.save_pretrained(draft)
        load_tokenizer(folder).save_pretrained(draft)
        with _telling_of_a_full_disk(draft):
            _export(model, samples[0], draft / FILES[ONNX])
            quantize(draft / FILES[ONNX], samples, draft / FILES[INT8])


def _export(model: "PreTrainedModel", sample: Batch, path: Path) -> None:
    import torch

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            return self.model(**dict(zip(sample, values, strict=True))).logits

    # An axis of one element would be taken for a constant.
    values = tuple(torch.from_numpy(np.repeat(array, 2, 0)) for array in sample.values())
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with _quiet():
        program = torch.onnx.export(
            Logits(),
            values,
            dynamic_shapes=((shape,) * len(values),),
            input_names=list(sample),
            output_names=["logits"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # as it is with dynamo=True
    about = {"words": count_words(model), "positions": count_positions(model)}
    for name, value in about.items():
        if value is not None:
            program.model.metadata_props[name] = str(value)
    program.save(path)


def quantize(path: Path, samples: Sequence[Batch], out: Path) -> None:
    """Writes an ONNX file whose matrix products with weights are computed in 8 bits.

    Weights have a scale for each output column. The scale of a product's input is fixed: the
    smallest that holds all that occurs in the samples. With a scale for each batch, as dynamic
    quantization has it, an answer would depend on the other texts of the batch.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Samples(CalibrationDataReader):
        def __init__(self):
            self.waiting = iter(samples)

        # pyrefly: ignore[bad-override]: None is its sign for the end
        def get_next(self) -> Batch | None:
            return next(self.waiting, None)

    graph = onnx.load(path).graph
    weights = {weight.name for weight in graph.initializer}
    products = [
        node.name for node in graph.node if node.op_type == "MatMul" and node.input[1] in weights
    ]
    with _quiet():
        quantize_static(
            path,
            out,
            Samples(),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=products,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            # Processors without VNNI add two products in 16 bits, which 8-bit weights overflow.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
        )


@contextmanager
def _telling_of_a_full_disk(folder: Path) -> Iterator[None]:
    """ONNX Runtime writes a half of a file in silence, and complains when it reads the half."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and shutil.disk_usage(folder).free < 2**20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what the exporters say about their own work."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
