"""Loads pre-trained encoders by hub name or from a local folder."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cascadebert.core.errors import UserError, explain_error
from cascadebert.core.files import File, replacing
from cascadebert.core.hub import limit_waiting, shorten_error
from cascadebert.encoders.pooling import FIRST, MEAN, POOLING, average_tokens
from cascadebert.encoders.shape import Shape, count_layer_flops, read_shape

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

HUB = "hub.json"  # in the folder of an encoder that came from the hub: model, commit
FIRST_IN = {"eurobert": "bos"}  # family -> its name for a head that reads the first token's state
# Families of masked language models on which systems cannot be built, and why.
UNFIT = {
    "fnet": "mixes a text with the padding of its batch, so that its answers depend on other texts",
    "funnel": "shortens a text from layer to layer, so that its states are not those of the tokens",
}
READS_PAIRS = "reads_pairs"  # in the config.json of a trained classifier: whether texts are pairs

# Functions import torch and transformers: both take seconds, and serving and the report import this
# module without them. `revision` is a branch, tag or commit of a model on the hub.


def load_config(encoder: File, revision: str = "main") -> "PreTrainedConfig":
    """Returns the encoder's Hugging Face configuration. Raises UserError if there is none."""
    from transformers import AutoConfig

    return _from_pretrained(AutoConfig, encoder, revision=revision)


def load_tokenizer(encoder: File, revision: str = "main") -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    return _from_pretrained(AutoTokenizer, encoder, revision=revision)


def check_family(encoder: File, config: "PreTrainedConfig") -> None:
    """Raises UserError unless every system can be built on a model of this configuration.

    Exits read the state of the first token, so attention must reach it from all other tokens.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    if config.is_encoder_decoder or type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise UserError(
            f"encoder {encoder} is a {config.model_type} model, which does not read a text in both "
            "directions at once; name one in `encoders` that does, as BERT, RoBERTa, DistilBERT, "
            "ELECTRA and most that were trained as masked language models do"
        )
    if config.model_type in UNFIT:
        raise UserError(
            f"encoder {encoder} is a {config.model_type} model, which {UNFIT[config.model_type]}; "
            "name one of another family in `encoders`, such as BERT, RoBERTa, DistilBERT or ELECTRA"
        )


def find_shape(encoder: File) -> "Shape | PreTrainedConfig":
    """Returns the encoder's shape; loads transformers only where config.json does not tell it."""
    return read_shape(encoder) or load_config(encoder)


def load_encoder(
    encoder: File, layers: int | None = None, revision: str = "main"
) -> "PreTrainedModel":
    """Returns the encoder without a head, with its first `layers` layers (all, if None)."""
    from transformers import AutoModel

    return _load_weights(AutoModel, encoder, cut_config(encoder, layers, revision), revision)


def load_classifier(
    encoder: File, labels: list[str], layers: int | None = None, pooling: str | None = None
) -> "PreTrainedModel":
    """Returns the encoder with a classification head: its fine-tuned head, or else a new one.

    pooling: what the head reads, FIRST or MEAN; None for the value in the encoder's config.json, or
             FIRST where it has none
    """
    from transformers import AutoModelForSequenceClassification

    config = cut_config(encoder, layers)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    if pooling is not None:
        setattr(config, POOLING, pooling)
        if hasattr(config, "classifier_pooling"):  # of a head that could itself read another state
            config.classifier_pooling = FIRST_IN.get(config.model_type, "cls")
    model = _load_weights(AutoModelForSequenceClassification, encoder, config)
    if getattr(config, POOLING, FIRST) == MEAN:
        average_tokens(model, list_untrained(model))
    return model


def fetch(model: str, folder: File, revision: str = "main") -> None:
    """Writes a model of the hub and its tokenizer to a folder, as safetensors.

    Trainings then need no network. The folder's file HUB names the model and its commit.
    """
    from huggingface_hub import try_to_load_from_cache

    encoder = load_encoder(model, revision=revision)
    # Weights that the hub's files lack, such as a pooler's, are drawn by whoever loads the folder.
    untrained = list_untrained(encoder)
    weights = {name: w for name, w in encoder.state_dict().items() if name not in untrained}
    # The hub's cache names its folders by commit.
    cached = try_to_load_from_cache(model, "config.json", revision=revision)
    commit = Path(str(cached)).parent.name
    about = {"model": model, "commit": commit}
    with replacing(folder) as draft:
        encoder.save_pretrained(draft, state_dict=weights)
        load_tokenizer(model, revision).save_pretrained(draft)
        (draft / HUB).write_text(json.dumps(about) + "\n")


def cut_config(encoder: File, layers: int | None, revision: str = "main") -> "PreTrainedConfig":
    """Returns the configuration of the encoder's first `layers` layers (all, if None).

    Raises UserError if the encoder has fewer layers, or none.
    """
    config = load_config(encoder, revision)
    if config.num_hidden_layers < 1:
        raise UserError(
            f"encoder {encoder}: its config.json says that it has {config.num_hidden_layers} "
            "layers; the file is damaged: make or download it again"
        )
    if layers is not None:
        if not 1 <= layers <= config.num_hidden_layers:
            raise UserError(
                f"{encoder} has {config.num_hidden_layers} layers; "
                f"its first {layers} were asked for"
            )
        # ALBERT computes where its groups of layers begin from the number of all layers.
        if layers < config.num_hidden_layers and getattr(config, "num_hidden_groups", 1) > 1:
            raise UserError(
                f"{encoder} has {config.num_hidden_groups} groups of layers with common weights, "
                "which cannot be cut; leave `layers` out, or name another encoder"
            )
        config.num_hidden_layers = layers
        for name in ("layer_types", "attention_window"):  # of ModernBERT, Longformer: by layer
            if isinstance(of_layers := getattr(config, name, None), list):
                setattr(config, name, of_layers[:layers])
    return config


def count_words(model: "PreTrainedModel") -> int:
    """Returns how many token ids the model has an embedding for."""
    return cast("torch.nn.Embedding", model.get_input_embeddings()).num_embeddings


def list_untrained(model: "PreTrainedModel") -> list[str]:
    """Returns the names of the weights that a loaded model got at random: its files lack them."""
    return sorted(getattr(model, "untrained", ()))


def count_positions(model: "PreTrainedModel") -> int | None:
    """Returns how many tokens the model can read; None if no table of positions limits it."""
    import torch

    for name, part in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, torch.nn.Embedding):
            # RoBERTa counts positions from after the one that stands for padding.
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    return None


def check_finite(name: File, model: "torch.nn.Module") -> None:
    """Raises UserError if a weight is infinite or no number."""
    for parameter, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise UserError(
                f"{name}: {parameter} has weights that are infinite or no numbers; the file is "
                "damaged, or its training went wrong: make or download it again"
            )


def label_names(config: "PreTrainedConfig") -> list[str]:
    """Returns the names of a classifier's labels, in the order of its logits.

    Raises UserError if the labels are not numbered from 0.
    """
    names = config.id2label or {}  # in the order of its file, which need not be that of the numbers
    if set(names) != set(range(len(names))):
        raise UserError(
            f"{config.name_or_path or 'a classifier'}: id2label in its config.json numbers the "
            f"labels {', '.join(map(str, sorted(names)))}; number them from 0, in the order of the "
            "logits"
        )
    return [str(name) for _, name in sorted(names.items())]  # JSON also has true and 1


def compute_layer_cost(encoder: File, reference: File, tokens: int) -> float:
    """Returns the cost of a layer of `encoder` in layers of `reference`: 1 if widths agree."""
    return count_layer_flops(load_config(encoder), tokens) / count_layer_flops(
        load_config(reference), tokens
    )


def _load_weights(
    auto_class: type, encoder: File, config: "PreTrainedConfig", revision: str = "main"
) -> Any:
    """Loads weights in full precision: files may have fp16 weights only to be small."""
    import torch

    # torch's fused attention is made for GPUs; on a CPU its backward pass over short texts is slow.
    # None takes it where the family has it: DeBERTa and MPNet, among others, have not.
    attention = None if torch.cuda.is_available() else "eager"
    model, loaded = _from_pretrained(
        auto_class,
        encoder,
        config=config,
        revision=revision,
        dtype=torch.float32,
        attn_implementation=attention,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    # A head or a pooler may be new. An embedding or a layer may not; names of layers have numbers.
    new = {*loaded["missing_keys"], *(name for name, *_ in loaded["mismatched_keys"])}
    unmade = sorted(name for name in new if re.search(r"embedding|\.\d+\.", name))
    if unmade:
        raise UserError(
            f"encoder {encoder}: its weights have no {unmade[0]} of the shape that its config.json "
            f"({config.num_hidden_layers} layers of width {config.hidden_size}) asks for; the two "
            "files must be of one model"
        )
    check_finite(f"encoder {encoder}", model)
    # Weights that are views of one tensor, as of NomicBERT, could not be saved by themselves.
    for weight in model.parameters():
        if weight.untyped_storage().nbytes() > weight.nbytes:
            weight.data = weight.data.clone()
    is_fine_tuned = model.base_model is not model and not new
    model.untrained = new if is_fine_tuned else new | _find_untrained_pooler(model)
    return model


def _find_untrained_pooler(model: "PreTrainedModel") -> set[str]:
    """Returns the weights of a pooler of BERT's form that was never trained.

    Files of sentence encoders may have one, since no loss reached it. Its biases are still zero.
    """
    names = {name for name, _ in model.named_parameters() if ".pooler.dense." in f".{name}"}
    biases = [model.get_parameter(name) for name in names if name.endswith("bias")]
    return names if biases and not any(bias.any() for bias in biases) else set()


def _from_pretrained(auto_class: Any, encoder: File, **arguments: Any) -> Any:
    from transformers.utils import logging

    name = str(encoder)
    # Without this check a mistyped path is looked up on the hub, which gives a puzzling error.
    if (name.startswith((".", "/")) or name.count("/") > 1) and not Path(name).is_dir():
        raise UserError(f"encoder {name}: no such folder; correct the path")
    limit_waiting()
    verbosity = logging.get_verbosity()
    # transformers would warn of new heads and cut layers, which are intended here, and would draw a
    # progress bar for a second's loading.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # Without an explicit False, transformers asks the user at the terminal.
        return auto_class.from_pretrained(name, trust_remote_code=False, **arguments)
    except Exception as error:  # whatever the hub, the network or an encoder's files can raise
        if explain_error(error, os.curdir):
            raise
        raise UserError(f"encoder {name} {_refusal(name, auto_class, error)}") from error
    finally:
        logging.set_verbosity(verbosity)


def _refusal(name: str, auto_class: type, error: Exception) -> str:
    """Returns why an encoder cannot be loaded, and what to do."""
    said = shorten_error(error)
    if "trust_remote_code" in said:
        return (
            "wants to run code that comes with it, which is never done here; in `encoders`, name "
            "one of a family that transformers itself knows"
        )
    if "file named model.safetensors" in said:
        return (
            "has no model.safetensors, and weights in other files (pytorch_model.bin) are never "
            "read here, since reading them can run code. If you trust them, make a copy with "
            f"AutoModel.from_pretrained({name!r}).save_pretrained(FOLDER), the same of "
            "AutoTokenizer, and give that folder in `encoders`"
        )
    if Path(name).is_dir():
        return (
            f"could not be loaded as {auto_class.__name__} ({said}); the folder is damaged or not "
            "in Hugging Face layout: download or make it again"
        )
    return (
        f"could not be loaded as {auto_class.__name__}: it is no folder here, and no model of the "
        f"hub that can be reached ({said}); correct its name in `encoders`, make the hub "
        "reachable, or download it elsewhere and give the folder"
    )
