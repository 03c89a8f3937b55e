"""The model of a run before training, and whether it can read the texts of a task."""

import importlib
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.data.tokens import TokenizedSplit
from cascadebert.encoders.loading import check_family, count_positions, count_words, load_config
from cascadebert.models import model_module
from cascadebert.models.base import ExitModel
from cascadebert.systems.method import Run


def new_model(
    run: Run, encoder: File, labels: list[str], parents: Sequence[File], seed: int
) -> ExitModel:
    """The run's model before training; `seed` draws its new weights.

    Raises UserError if the encoder cannot host it.
    """
    check_family(encoder, load_config(encoder))
    torch.manual_seed(seed)
    module = importlib.import_module(model_module(run.method))
    model: ExitModel = module.Model(run, encoder, labels, parents)
    trained = any(parameter.requires_grad for parameter in model.parameters())
    if not trained or len(model.depths) < model.fewest_exits:
        raise UserError(
            f"{run.name}: {encoder} has too few layers (num_hidden_layers) for {run.method}, which "
            "trains exits before the last one; take an encoder of at least 2 layers"
        )
    return model


def find_encoder(model: ExitModel) -> PreTrainedModel:
    """The Hugging Face model that the exits sit on; a teacher beside it comes later."""
    return next(part for part in model.modules() if isinstance(part, PreTrainedModel))


def check_reads(model: ExitModel, encoder: File, data: TokenizedSplit) -> None:
    """Raises UserError if the model lacks embeddings of these tokens, segments or positions."""
    inside = find_encoder(model)
    words = count_words(inside)
    if data.tokens.max() >= words:
        raise UserError(
            f"{encoder} has a vocabulary of {words}, but the texts have token {data.tokens.max()}; "
            "give it in `encoders` the `tokenizer` of an encoder with the same vocabulary, or none"
        )
    segments = getattr(inside.config, "type_vocab_size", None)
    if segments and data.segments is not None and data.segments.max() >= segments:
        raise UserError(
            f"{encoder} does not tell the texts of a pair apart (type_vocab_size {segments} in its "
            "config.json), but the tokenizer numbers them; take token_type_ids out of the "
            "model_input_names in its tokenizer_config.json"
        )
    positions = count_positions(inside)
    if positions is not None and data.lengths.max() > positions:
        raise UserError(
            f"training.max_length: texts have up to {data.lengths.max()} tokens, but "
            f"{encoder} reads {positions} at most"
        )
