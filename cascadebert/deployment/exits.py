"""Early exits inside one model, executed: an input that leaves takes no part in later layers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.encoders.layers import list_layers, replaced_layers
from cascadebert.models.base import EarlyExitModel
from cascadebert.models.building import find_encoder
from cascadebert.systems.exits import ExitRule, Knob

# DeBERTa's name for its table of distances, which may have as many rows as the batch has inputs.
POSITIONS = "rel_embeddings"


class EarlyExits:
    """A trained model whose exits are taken by a rule, layer by layer.

    After each layer its exit computes logits. The inputs that leave there are taken out of the
    batch; the others go on together.
    """

    def __init__(self, model: EarlyExitModel, rule: ExitRule, knob: Knob):
        """model: DeeBERT's, PABEE's, or another with exits before the last layer"""
        self.model, self.rule, self.knob = model.eval(), rule, knob
        self.encoder = find_encoder(model)
        self.layers = list(list_layers(self.encoder))
        self.last = len(self.layers) - 1

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Returns each input's logits, float32 `[batch, labels]`, and its exit, int64 `[batch]`."""
        batch = _Batch(self, inputs["attention_mask"])
        steps = [_Step(layer, number, batch) for number, layer in enumerate(self.layers)]
        with replaced_layers(self.encoder, steps), suppress(_AllLeft), self._last_states() as last:
            logits = self.model.run_encoder(dict(inputs))
            if logits is None:
                logits = self.model.exit_logits(self.last, last.pop(), batch.mask)
            batch.answer(self.last, logits.float().cpu().numpy(), np.ones(len(logits), dtype=bool))
        assert batch.logits is not None  # every input has left by the last exit
        return batch.logits, batch.exits

    @contextmanager
    def _last_states(self) -> Iterator[list[torch.Tensor]]:
        """While it lasts, the list gets the states that the encoder ends with.

        Some families, such as ModernBERT, normalise what the last layer gives.
        """
        found: list[torch.Tensor] = []
        hook = self.encoder.base_model.register_forward_hook(
            lambda module, given, outputs: found.append(outputs.last_hidden_state)
        )
        try:
            yield found
        finally:
            hook.remove()


class _AllLeft(Exception):
    """No input is left for the layers that follow."""


class _Batch:
    """The inputs of a batch that are still there, and the answers of those that left."""

    def __init__(self, runner: EarlyExits, attention_mask: torch.Tensor):
        self.runner, self.mask, self.size = runner, attention_mask, len(attention_mask)
        self.there = np.arange(self.size)
        self.signals = np.empty((self.size, 0))  # of their exits so far
        self.exits = np.empty(self.size, dtype=np.int64)
        self.logits: np.ndarray | None = None

    def select(self, value: Any) -> Any:
        """Of a tensor with a row for each input, the rows of those that are there."""
        is_whole = isinstance(value, torch.Tensor) and len(value) == self.size
        return value[self.there] if is_whole and len(self.there) < self.size else value

    def judge(self, exit: int, states: torch.Tensor) -> torch.Tensor:
        """Lets inputs leave at an exit. Returns the states of the others."""
        config = self.runner.encoder.config
        if states.shape[-1] != config.hidden_size:  # SqueezeBERT has the tokens last
            raise UserError(
                f"the layers of a {config.model_type} model pass on no states of tokens, so that "
                "its exits cannot be executed; take an encoder of another family"
            )
        logits = self.runner.model.exit_logits(exit, states, self.mask).float().cpu().numpy()
        of_exit = Predictions(logits[:, None], np.ones(1), self.there, self.there)
        signal = self.runner.rule.signal(of_exit)
        # The rule takes the last exit where no earlier one is taken: a column stands for it.
        self.signals = np.concatenate([self.signals, signal], axis=1)
        judged = np.concatenate([self.signals, signal], axis=1)
        leaving = self.runner.rule.first(judged, self.runner.knob) <= exit
        if not leaving.any():
            return states
        self.answer(exit, logits, leaving)
        staying = ~leaving
        self.there, self.signals = self.there[staying], self.signals[staying]
        if not len(self.there):
            raise _AllLeft
        kept = torch.from_numpy(np.flatnonzero(staying)).to(states.device)
        self.mask = self.mask[kept]
        if average := getattr(self.runner.encoder, "token_average", None):
            average.attention_mask = self.mask
        return states[kept]

    def answer(self, exit: int, logits: np.ndarray, leaving: np.ndarray) -> None:
        if self.logits is None:
            self.logits = np.empty((self.size, logits.shape[1]), dtype=np.float32)
        self.logits[self.there[leaving]] = logits[leaving]
        self.exits[self.there[leaving]] = exit


class _Step(nn.Module):
    """The exit after the layer before, unless there is none, and a layer.

    An exit reads what the next layer gets. DeBERTa-v2 may put a convolution between the first two.
    """

    def __init__(self, layer: nn.Module, number: int, batch: _Batch):
        """number: of the layer, from 0 on"""
        super().__init__()
        self.layer, self.number, self.batch = layer, number, batch

    def __getattr__(self, name: str) -> Any:
        """What the encoder asks of a layer, such as ModernBERT its kind of attention."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(self, states: torch.Tensor, *given: Any, **named: Any) -> Any:
        """Takes and gives what the layer does, for the inputs that are there."""
        if self.number > 0:
            states = self.batch.judge(self.number - 1, states)
        given = tuple(self.batch.select(value) for value in given)
        named = {
            name: value if name == POSITIONS else self.batch.select(value)
            for name, value in named.items()
        }
        return self.layer(states, *given, **named)
