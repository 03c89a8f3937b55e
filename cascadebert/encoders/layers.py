"""The list of an encoder's layers, and computing with other layers in their place."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cascadebert.core.errors import UserError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


def list_layers(model: "PreTrainedModel") -> "nn.ModuleList":
    """The model's layers, in order.

    Raises UserError if it has none of their own, as ALBERT, or a list for each of their parts, as
    XLM and FlauBERT.
    """
    from torch import nn

    _, layers = _find_layers(model)
    beside = [part for part in find_owner(model).children() if isinstance(part, nn.ModuleList)]
    if len(beside) > 1:
        raise _refuse(model)
    return layers


@contextmanager
def replaced_layers(model: "PreTrainedModel", layers: "Iterable[nn.Module]") -> Iterator[None]:
    """While it lasts, the model computes with these layers instead of its own."""
    from torch import nn

    own = list_layers(model)
    name, _ = _find_layers(model)
    owner, attribute = find_owner(model), name.rpartition(".")[2]
    setattr(owner, attribute, nn.ModuleList(layers))
    try:
        yield
    finally:
        setattr(owner, attribute, own)


def find_owner(model: "PreTrainedModel") -> "nn.Module":
    """The module that computes the layers one after another, as list_layers finds them."""
    name, _ = _find_layers(model)
    return model.get_submodule(name.rpartition(".")[0])


def _find_layers(model: "PreTrainedModel") -> "tuple[str, nn.ModuleList]":
    from torch import nn

    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers:
            return name, module
    raise _refuse(model)


def _refuse(model: "PreTrainedModel") -> UserError:
    return UserError(
        f"a {model.config.model_type} model has no list of layers of its own, so that none of them "
        "can be replaced or left out; take an encoder of another family"
    )
