"""FastBERT (Liu et al., ACL 2020): heads that a fine-tuned model's own last head teaches."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from cascadebert.encoders import load_encoder
from cascadebert.systems import Run
from cascadebert.weights import load_weights, save_weights

EXIT_RULE = "normalised entropy"
OPTIONS = {
    "required": ["encoder"],
    "properties": {"encoder": {"type": "string", "format": "encoder"}},
}


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    # Its own stage one and not the full model's run, since the teacher's head is another one.
    teacher = Run("fastbert", options["encoder"], (("stage", "teacher"),))
    return {"": [Run("fastbert", options["encoder"], parents=(teacher,))]}


class Head(nn.Module):
    """A narrow self-attention over all tokens (Table 1 of FastBERT).

    Initial weights are PyTorch's, as in the authors' public code: three layers of BERT's small ones
    would let next to nothing of the states through.
    """

    def __init__(self, config, labels: int):
        super().__init__()
        # 128 at BERT's 768, so that at any width a head works 2.5% of what a layer does; even,
        # because of the two attention heads.
        width = 2 * round(config.hidden_size / 12)
        self.narrow = nn.Linear(config.hidden_size, width)
        self.attention = nn.MultiheadAttention(
            width,
            num_heads=2,
            dropout=getattr(config, "attention_probs_dropout_prob", 0.1),
            batch_first=True,
        )
        self.dense = nn.Linear(width, width)
        self.classify = nn.Linear(width, labels)

    def forward(self, states, attention_mask):
        """Logits `[batch, labels]` from states `[batch, tokens, width]`; padding has mask 0."""
        narrow = self.narrow(states).tanh()
        # Of what attention gives only the first token's is read, so only that is computed.
        attended, _ = self.attention(
            narrow[:, :1], narrow, narrow, key_padding_mask=attention_mask == 0, need_weights=False
        )
        return self.classify(self.dense(attended[:, 0]).tanh())


class Model(nn.Module):
    """Stage one, without parents: the encoder and the teacher's head on its last layer.

    Stage two: both are frozen, and every layer but the last has a student's head.
    """

    def __init__(self, run, encoder, labels, parents=()):
        super().__init__()
        encoder = load_encoder(encoder)
        config = encoder.config
        teacher = Head(config, len(labels))
        self.backbone = nn.ModuleDict({"encoder": encoder, "teacher": teacher})
        self.students = nn.ModuleList()
        self.depths = [config.num_hidden_layers]
        if parents:
            load_weights(self.backbone, parents[0])
            self.backbone.requires_grad_(False)
            self.students.extend(
                Head(config, len(labels)) for _ in range(config.num_hidden_layers - 1)
            )
            self.depths = list(range(1, config.num_hidden_layers + 1))

    def train(self, mode: bool = True):
        super().train(mode)
        if self.students:
            self.backbone.eval()  # frozen, it gives the students what it gives at inference
        return self

    def forward(self, inputs):
        encoder, teacher = self.backbone["encoder"], self.backbone["teacher"]
        states = encoder(**inputs, output_hidden_states=True).hidden_states
        heads = [*self.students, teacher]
        logits = [
            head(layer, inputs["attention_mask"])
            for head, layer in zip(heads, states[-len(heads) :], strict=True)
        ]
        return torch.stack(logits, dim=1).float()

    def objective(self, inputs, gold, step, steps):
        """Stage one: cross-entropy. Stage two: the students' KL divergences, summed (Eq. 6).

        Eq. 5 prints KL(student || teacher). The authors' public code minimises, as distillation
        usually does, KL(teacher || student), and so do we.
        """
        logits = self(inputs)
        if not self.students:
            return logits, cross_entropy(logits[:, 0], gold)
        log_probabilities = logits.log_softmax(dim=-1)
        students, teacher = log_probabilities[:, :-1], log_probabilities[:, -1:]
        return logits, kl_div(
            students, teacher.expand_as(students), log_target=True, reduction="batchmean"
        )

    def save(self, folder):
        """What was trained; in stage two the backbone lies in the parent run's folder."""
        save_weights(self.students or self.backbone, folder)

    def load(self, folder):
        load_weights(self.students or self.backbone, folder)
