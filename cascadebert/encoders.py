"""Pre-trained encoders, by hub name or local folder."""

import json
import os
from pathlib import Path

import torch
from torch import nn

from cascadebert.errors import UserError
from cascadebert.files import replacing

# transformers takes seconds to import, and planning a workflow imports this module.


def load_config(encoder: str | os.PathLike):
    """The encoder's Hugging Face configuration. Raises UserError if there is no such encoder."""
    from transformers import AutoConfig

    return _from_pretrained(AutoConfig, encoder)


def load_tokenizer(encoder: str | os.PathLike):
    from transformers import AutoTokenizer

    return _from_pretrained(AutoTokenizer, encoder)


def load_encoder(encoder: str | os.PathLike, layers: int | None = None):
    """The encoder without a head, cut after its first `layers` layers if that is given."""
    from transformers import AutoModel

    return _load_weights(AutoModel, encoder, cut_config(encoder, layers))


def load_classifier(encoder: str | os.PathLike, labels: list[str], layers: int | None = None):
    """The encoder with a classification head: a new one, or the one it was fine-tuned with."""
    from transformers import AutoModelForSequenceClassification

    config = cut_config(encoder, layers)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    return _load_weights(AutoModelForSequenceClassification, encoder, config)


def fetch(model: str, folder: str | os.PathLike) -> None:
    """Puts a model of the hub into a folder, as safetensors, with its tokenizer.

    What trains on it then needs no network. hub.json there says which commit it was.
    """
    torch.manual_seed(0)  # draws what the hub's files leave out, such as a pooler
    encoder = load_encoder(model)
    about = {"model": model, "commit": encoder.config._commit_hash}
    with replacing(folder) as draft:
        encoder.save_pretrained(draft)
        load_tokenizer(model).save_pretrained(draft)
        (draft / "hub.json").write_text(json.dumps(about) + "\n")


def cut_config(encoder: str | os.PathLike, layers: int | None):
    """The configuration of the encoder's first `layers` layers (all, if None)."""
    config = load_config(encoder)
    if layers is not None:
        if not 1 <= layers <= config.num_hidden_layers:
            raise UserError(
                f"{encoder} has {config.num_hidden_layers} layers; "
                f"its first {layers} were asked for"
            )
        config.num_hidden_layers = layers
    return config


def layer_flops(config, tokens: int) -> float:
    """Floating-point operations of one encoder layer for a text of `tokens` tokens.

    Two for each multiply-add: four projections and two feed-forward matrices for every token, and
    attention scores and their weighted sum for every pair of tokens.
    """
    width = config.hidden_size
    # DistilBERT and ELECTRA-style configurations spell the feed-forward width in their own way.
    inner = getattr(config, "intermediate_size", None) or config.hidden_dim
    return 2 * tokens * (4 * width**2 + 2 * width * inner) + 4 * tokens**2 * width


def layer_cost(encoder: str | os.PathLike, reference: str | os.PathLike, tokens: int) -> float:
    """What one layer of `encoder` costs in layers of `reference`: 1 where their widths agree."""
    return layer_flops(load_config(encoder), tokens) / layer_flops(load_config(reference), tokens)


class Pooler(nn.Module):
    """The first token's state through a dense layer and tanh, as in BERT: [b, t, d] -> [b, d]."""

    def __init__(self, model: nn.Module):
        """Starts from the pooler of `model` where it has one of BERT's form, else at random."""
        super().__init__()
        width = model.config.hidden_size
        self.dense = nn.Linear(width, width)
        trained = getattr(getattr(model.base_model, "pooler", None), "dense", None)
        if isinstance(trained, nn.Linear):
            self.dense.load_state_dict(trained.state_dict())
        else:
            initialise(self.dense, model.config)

    def forward(self, states):
        return self.dense(states[:, 0]).tanh()


def initialise(linear: nn.Linear, config) -> nn.Linear:
    """Weights as the encoder's own new layers get them, biases zero."""
    nn.init.normal_(linear.weight, std=getattr(config, "initializer_range", 0.02))
    nn.init.zeros_(linear.bias)
    return linear


def _load_weights(auto_class, encoder: str | os.PathLike, config):
    """In full precision, whatever the files have: fp16 weights are a way to store them."""
    # torch's fused attention is made for GPUs; on a CPU its backward pass over short texts is slow.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    return _from_pretrained(
        auto_class,
        encoder,
        config=config,
        dtype=torch.float32,
        attn_implementation=attention,
        use_safetensors=True,
    )


def _from_pretrained(auto_class, encoder: str | os.PathLike, **arguments):
    from transformers.utils import logging

    name = str(encoder)
    # A path that was mistyped would otherwise be looked up on the hub, with a puzzling error.
    if (name.startswith((".", "/")) or name.count("/") > 1) and not Path(name).is_dir():
        raise UserError(f"encoder {name}: no such folder")
    verbosity = logging.get_verbosity()
    # New heads and cut layers are intended here, and no log needs a bar for a second's loading.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return auto_class.from_pretrained(name, **arguments)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"encoder {name} could not be loaded as {auto_class.__name__}: neither a folder in "
            f"Hugging Face layout here nor a model of the hub that can be reached ({error})"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
