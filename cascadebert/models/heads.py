"""What methods add to an encoder: off-ramps, and exits on a tuned or a frozen model."""

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.core.files import File
from cascadebert.encoders.loading import list_untrained
from cascadebert.encoders.pooling import FIRST, POOLING, pool
from cascadebert.encoders.weights import load_weights, save_weights
from cascadebert.models.base import EarlyExitModel, Inputs
from cascadebert.systems.method import Run

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


class Pooler(nn.Module):
    """A dense layer and tanh on a pooled state, as in BERT: `[..., width]` -> the same shape."""

    def __init__(self, model: "PreTrainedModel"):
        """Starts from the pre-trained pooler of `model`, or as the identity if there is none.

        BERT's small random weights would let next to nothing of the states through.
        """
        super().__init__()
        width = model.config.hidden_size
        self.dense = nn.Linear(width, width)
        if pretrained := find_pooler(model):
            self.dense.load_state_dict(pretrained.state_dict())
        else:
            nn.init.eye_(self.dense.weight)
            nn.init.zeros_(self.dense.bias)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return self.dense(state).tanh()


class Scaling(nn.Module):
    """(state - mean) / deviation, feature by feature; until it is set, the state as it is."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def set(self, states: torch.Tensor) -> None:
        """Takes mean and deviation from states `[examples, width]`."""
        self.mean.copy_(states.mean(dim=0))
        self.deviation.copy_(states.std(dim=0).clamp(min=1e-6))

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return (state - self.mean) / self.deviation


def find_pooler(model: "PreTrainedModel") -> nn.Linear | None:
    """The dense layer of the pre-trained pooler, if the encoder came with one of BERT's form."""
    dense = getattr(getattr(model.base_model, "pooler", None), "dense", None)
    is_new = any("pooler" in name for name in list_untrained(model))
    return dense if isinstance(dense, nn.Linear) and not is_new else None


def initialise(linear: nn.Linear, config: "PreTrainedConfig") -> nn.Linear:
    """Weights as the encoder's own new layers get them, biases zero."""
    nn.init.normal_(linear.weight, std=getattr(config, "initializer_range", 0.02))
    nn.init.zeros_(linear.bias)
    return linear


def make_off_ramps(classifier: "PreTrainedModel", labels: int) -> nn.ModuleList:
    """DeeBERT's off-ramp (pooler, dropout, linear) for every layer of a classifier but the last.

    Each gives logits `[batch, labels]` of a pooled state `[batch, width]`.
    """
    config = classifier.config
    return nn.ModuleList(
        nn.Sequential(
            Pooler(classifier),
            nn.Dropout(getattr(config, "hidden_dropout_prob", 0.1)),
            initialise(nn.Linear(config.hidden_size, labels), config),
        )
        for _ in range(config.num_hidden_layers - 1)
    )


class JointExits(EarlyExitModel):
    """An exit after every layer, trained together with the encoder.

    Exits that a method adds read pooled states. On an encoder that came without a pooler they start
    from scaled states: those of an early layer may differ so little from text to text that nothing
    would be learnt from them.
    """

    def __init__(self, run: Run, encoder: "PreTrainedModel", added: int):
        """added: how many exits, from the first on, are not the encoder's own"""
        super().__init__()
        config = encoder.config
        self.depths = list(range(1, config.num_hidden_layers + 1))
        self.pooling = run.pooling
        self.scales = nn.ModuleList(Scaling(config.hidden_size) for _ in range(added))
        self.needs_scales = find_pooler(encoder) is None

    def exit_state(
        self, exit: int, states: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """The pooled and scaled state `[batch, width]` of one added exit."""
        return self.scales[exit](pool(states, attention_mask, self.pooling))


class FrozenExits(EarlyExitModel):
    """A trained, frozen model with a head after every layer but the last; only heads are trained.

    The heads depend on the model's states alone, so training computes these once
    (`head_training`). Whatever takes a batch of the encoder's inputs therefore also takes what
    `read` makes of them.
    """

    reads_tokens = False  # whether heads read the states of all tokens, or pooled ones
    backbone: nn.Module

    def __init__(self, backbone: nn.Module, heads: nn.ModuleList, depth: int, pooling: str):
        """
        heads: one for each of the first depth - 1 layers, from its states to logits; each reads
               them with a linear layer that has a bias, since `head_training` standardises them
        """
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.heads = heads
        self.depths = list(range(1, depth + 1))
        self.pooling = pooling
        # While heads are trained: mean and deviation of their states, `[heads, width]` each.
        self.scale: tuple[torch.Tensor, torch.Tensor] | None = None

    def exit_pooling(self, exit: int) -> str:
        """The last exit is the backbone's own, which may read another state than the heads do."""
        if exit < len(self.heads):
            return self.pooling
        return getattr(self.backbone.config, POOLING, FIRST)

    def train(self, mode: bool = True) -> "FrozenExits":
        super().train(mode)
        self.backbone.eval()  # heads are trained on the states that inference gives
        return self

    @torch.no_grad()
    def read(self, inputs: Inputs) -> Inputs:
        """What the heads read, float32.

        states:         `[batch, tokens, heads, width]`; one "token" where heads read pooled states
        attention_mask: `[batch, tokens]`, 0 for padding
        last:           logits of the last exit, `[batch, labels]`
        """
        outputs = self.backbone(**inputs, output_hidden_states=True)
        states = torch.stack(outputs.hidden_states[1:-1], dim=2)  # the first are the embeddings
        pooled = pool(states, inputs["attention_mask"], self.pooling)[:, None]
        mask = inputs["attention_mask"][:, :1]
        return {"states": pooled.float(), "attention_mask": mask, "last": outputs.logits.float()}

    def standardise(self, states: torch.Tensor) -> torch.Tensor:
        """The states `[..., heads, width]` as heads read them: standardised during training."""
        if self.scale is None:
            return states
        mean, deviation = self.scale
        return (states - mean) / deviation

    def answer(
        self, head: nn.Module, states: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """Logits of one head, `[batch, labels]`, of its states `[batch, tokens, width]`."""
        return head(states, attention_mask) if self.reads_tokens else head(states[:, 0])

    def exit_logits(
        self, exit: int, states: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        if not self.reads_tokens:
            states = pool(states, attention_mask, self.pooling)[:, None]
        return self.answer(self.heads[exit], states, attention_mask)

    def run_encoder(self, inputs: Inputs) -> torch.Tensor | None:
        return self.backbone(**inputs).logits

    def forward(self, inputs: Inputs) -> torch.Tensor:
        seen = inputs if "states" in inputs else self.read(inputs)
        states, mask = self.standardise(seen["states"]), seen["attention_mask"]
        logits = [self.answer(head, states[:, :, i], mask) for i, head in enumerate(self.heads)]
        return torch.stack([*logits, seen["last"]], dim=1).float()

    def objective(
        self, inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self(inputs)
        return logits, self.loss(logits, gold)

    def loss(self, logits: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
        """The sum of the heads' cross-entropies; the last exit is not trained any more.

        logits: of all exits, `[batch, exits, labels]`
        gold:   labels, int64 `[batch]`
        """
        losses = (cross_entropy(logits[:, i], gold) for i in range(len(self.heads)))
        return sum(losses, logits.new_zeros(()))

    def first_layers(self) -> list[nn.Linear]:
        """The layer of each head that reads the states."""
        return [
            next(part for part in head.modules() if isinstance(part, nn.Linear))
            for head in self.heads
        ]

    def save(self, folder: File) -> None:
        """The heads alone: the backbone lies in the parent run's folder."""
        save_weights(self.heads, folder)

    def load(self, folder: File) -> None:
        load_weights(self.heads, folder)
