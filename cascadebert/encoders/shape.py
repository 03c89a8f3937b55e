"""The part of an encoder's configuration that its cost follows from, read without transformers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cascadebert.core.files import File

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# Families with a gate in their feed-forward layers, which is a third matrix.
GATED = {"modernbert", "eurobert", "nomic_bert"}


@dataclass(frozen=True)
class Shape:
    """The part of an encoder's configuration that its cost follows from, and its family."""

    model_type: str
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int | None
    max_position_embeddings: int | None


def read_shape(encoder: File) -> Shape | None:
    """Returns the shape that a local folder's config.json tells; None if it tells none.

    Planning a workflow uses this function, since it cannot wait for transformers.
    """
    try:
        config = json.loads((Path(encoder) / "config.json").read_text(encoding="utf-8"))
        # DistilBERT has names of its own.
        layers = config.get("num_hidden_layers") or config["n_layers"]
        width = config.get("hidden_size") or config["dim"]
        inner = config.get("intermediate_size") or config.get("hidden_dim")
        positions = config.get("max_position_embeddings")
        return Shape(
            model_type=str(config.get("model_type")),
            num_hidden_layers=int(layers),
            hidden_size=int(width),
            intermediate_size=int(inner) if inner else None,
            max_position_embeddings=int(positions) if positions else None,
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def count_layer_flops(config: "PreTrainedConfig | Shape", tokens: int) -> float:
    """Returns the floating-point operations of one encoder layer for a text of `tokens` tokens.

    A multiply-add counts as two. Every token needs four projections and two feed-forward matrices,
    or three with a gate. Every pair of tokens needs an attention score and a term of the weighted
    sum.
    """
    width = config.hidden_size
    # DistilBERT calls the feed-forward width hidden_dim. A family without either name has BERT's
    # ratio, 4 * width.
    inner = (
        getattr(config, "intermediate_size", None)
        or getattr(config, "hidden_dim", None)
        or 4 * width
    )
    matrices = 3 if getattr(config, "model_type", None) in GATED else 2
    return 2 * tokens * (4 * width**2 + matrices * width * inner) + 4 * tokens**2 * width
