"""One state for each text: the first token's, or the mean of all tokens'."""

import threading
from typing import TYPE_CHECKING, Any, cast

from cascadebert.encoders.layers import find_owner

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

FIRST, MEAN = "first", "mean"
POOLING = "pooling"  # in the config.json of a classifier: what its head reads

# The mask of the batch that each thread computes: several may ask one model at a time.
_computed = threading.local()


def pool(states: "torch.Tensor", attention_mask: "torch.Tensor", pooling: str) -> "torch.Tensor":
    """One state for each text: `[batch, tokens, ..., width]` -> `[batch, ..., width]`.

    attention_mask: `[batch, tokens]`, 0 for padding
    pooling:        FIRST for the first token's state, MEAN for the mean over all tokens
    """
    if pooling == FIRST:
        return states[:, 0]
    # A sum and not a matrix product, which autocast would compute in reduced precision.
    weights = attention_mask.to(states.dtype).reshape(
        *attention_mask.shape, *[1] * (states.ndim - 2)
    )
    return (weights * states).sum(dim=1) / weights.sum(dim=1)


class TokenAverage:
    """Puts the mean of all tokens' states in the place of each state after the last layer.

    The classification heads of transformers read the first token's state. With this on the encoder
    they read the mean, whatever the family.

    Whoever takes texts out of the batch on the way also takes them out of the `attention_mask`.
    """

    def __init__(self, classifier: "PreTrainedModel"):
        base = cast("PreTrainedModel", classifier.base_model)
        base.register_forward_pre_hook(self._keep_mask, with_kwargs=True)
        find_owner(base).register_forward_hook(self._average)

    @property
    def attention_mask(self) -> "torch.Tensor":
        """Of the batch that this thread computes, `[batch, tokens]`."""
        return _computed.mask

    @attention_mask.setter
    def attention_mask(self, mask: "torch.Tensor") -> None:
        _computed.mask = mask

    def _keep_mask(self, module: "nn.Module", given: tuple[Any, ...], named: Any) -> None:
        mask = named["attention_mask"]
        if mask.ndim == 4:  # a term of the attention scores, 0 for what is attended to
            mask = (mask[:, 0, 0] == 0).long()
        self.attention_mask = mask

    def _average(self, module: "nn.Module", given: tuple[Any, ...], outputs: Any) -> None:
        states = outputs.last_hidden_state
        mean = pool(states, self.attention_mask, MEAN)[:, None].expand_as(states)
        outputs.last_hidden_state = mean
        if outputs.hidden_states is not None:  # DeBERTa takes its last state from these
            outputs.hidden_states = (*outputs.hidden_states[:-1], mean)
        # NomicBERT and GTE have their pooler beside the layers: it has read the first token.
        if (pooler := getattr(module, "pooler", None)) is not None:
            outputs.pooler_output = pooler(mean)


def average_tokens(classifier: "PreTrainedModel", new: list[str]) -> None:
    """Lets the classification head read the mean of all tokens' states.

    new: the names of weights that were drawn at random. A new pooler starts as the identity: it
         would let little of the mean through.
    """
    from torch import nn

    # pyrefly: ignore[bad-argument-type]: a module takes any attribute
    classifier.token_average = TokenAverage(classifier)
    dense = getattr(getattr(classifier.base_model, "pooler", None), "dense", None)
    if isinstance(dense, nn.Linear) and any("pooler" in name for name in new):
        nn.init.eye_(dense.weight)
        nn.init.zeros_(dense.bias)
