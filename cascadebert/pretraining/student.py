"""The encoder that is pre-trained, the heads that only pre-training uses, and where they start."""

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from cascadebert.core.errors import UserError
from cascadebert.encoders.loading import load_config, load_tokenizer
from cascadebert.pretraining.teacher import Outputs, Space
from cascadebert.pretraining.vocabulary import Tokens


class Student(nn.Module):
    """A BERT encoder with pooler, and linear maps from its states to what it must predict.

    teacher_width: width of the sentence targets, components: width of the token targets (both
    None without a teacher); mlm: whether to have the head for masked words.
    """

    def __init__(
        self, config: BertConfig, teacher_width: int | None, components: int | None, mlm: bool
    ):
        super().__init__()
        width = config.hidden_size
        self.encoder = BertModel(config)
        # Training sees short single sentences. Positions beyond them and the second segment of a
        # pair then add nothing at first to an input, instead of noise.
        embeddings = self.encoder.embeddings
        nn.init.zeros_(embeddings.position_embeddings.weight)
        nn.init.zeros_(embeddings.token_type_embeddings.weight)
        embeddings.token_type_embeddings.weight.requires_grad_(False)
        self.to_sentence = nn.Linear(width, teacher_width) if teacher_width else None
        self.to_token = nn.Linear(width, components) if components else None
        # As in BERT: a transformation, then the word embeddings themselves as the output layer.
        self.mlm_transform = (
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)) if mlm else None
        )
        self.mlm_bias = nn.Parameter(torch.zeros(config.vocab_size)) if mlm else None
        for head in (self.to_sentence, self.to_token):
            if head is not None:
                nn.init.normal_(head.weight, std=width**-0.5)
                nn.init.zeros_(head.bias)

    def word_logits(self, states: torch.Tensor) -> torch.Tensor:
        """Scores of the whole vocabulary for `states` `[positions, width]`."""
        assert self.mlm_transform is not None
        words = self.encoder.embeddings.word_embeddings.weight
        return self.mlm_transform(states) @ words.T + self.mlm_bias


def encoder_config(
    tokenizer: PreTrainedTokenizerBase,
    depth: int,
    width: int,
    heads: int,
    inner: int,
    longest: int,
    device: str = "cpu",
) -> BertConfig:
    """Without dropout: pre-training sees a sentence a few times and cannot overfit.

    Raises UserError if the heads do not divide the width.
    """
    if width % heads:
        raise UserError(f"pretraining.encoder: {heads} heads do not divide the width {width}")
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=longest,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        # On short sentences half as fast again as torch's fused attention, on a CPU.
        # pyrefly: ignore[unexpected-keyword]
        attn_implementation="eager" if device == "cpu" else "sdpa",
    )


@torch.no_grad()
def start_words_from_teacher(student: Student, tokens: Tokens, outputs: Outputs, sentences: int):
    """Each word embedding starts as the mean of the teacher's states of that token.

    Taken over the first `sentences` sentences; tokens that do not occur keep their random start.
    The map from states to token targets starts as the identity, so that an encoder without any
    layer would already predict the mean.
    """
    words = student.encoder.embeddings.word_embeddings.weight
    size, width = words.shape
    shared = min(width, outputs.components)
    total = np.zeros((size, outputs.components))
    count = np.zeros(size)
    for index in range(sentences):
        states = outputs.words(index).astype(np.float64)
        ids = tokens.ids[tokens.starts[index] : tokens.starts[index + 1]]
        known = np.abs(states).any(axis=1)
        np.add.at(total, ids[known], states[known])
        np.add.at(count, ids[known], 1)
    seen = count > 0
    mean = (total[seen] / count[seen, None])[:, :shared]
    words[torch.from_numpy(seen), :shared] = torch.from_numpy(0.05 * mean / mean.std()).float()
    assert student.to_token is not None
    student.to_token.weight.zero_()
    student.to_token.weight[range(shared), range(shared)] = 1.0


def check_start(encoder: dict[str, Any], tokenizer: PreTrainedTokenizerBase, teacher: str) -> None:
    """Raises UserError unless a student can take over the teacher's layers and embeddings.

    encoder: the section of the configuration; tokenizer: the student's
    """
    config = load_config(teacher)
    if (config.model_type, getattr(config, "hidden_act", None)) != ("bert", "gelu"):
        raise UserError(
            f"pretraining.start: the encoders made here are BERTs with GELU, and {teacher} is "
            f"another ({config.model_type}); leave start out, or name another teacher"
        )
    for key, name in (
        ("width", "hidden_size"),
        ("heads", "num_attention_heads"),
        ("intermediate", "intermediate_size"),
        ("positions", "max_position_embeddings"),
    ):
        if encoder[key] != getattr(config, name):
            raise UserError(
                f"pretraining.encoder.{key} is {encoder[key]}, but {getattr(config, name)} in the "
                f"teacher {teacher}, whose layers are copied; say the same, or leave start out"
            )
    vocabulary = load_tokenizer(teacher).get_vocab()
    if tokenizer.get_vocab() != vocabulary or len(vocabulary) != config.vocab_size:
        raise UserError(
            f"pretraining.vocabulary is not that of the word embeddings of the teacher {teacher}, "
            f"which are copied; say {{from: {teacher}}}, or leave start out"
        )


@torch.no_grad()
def start_from_teacher(student: Student, teacher: BertModel, space: Space) -> None:
    """DistilBERT's start (Sanh et al. 2019): the teacher's embeddings, pooler and every k-th layer.

    Layer i of the student's n, counted from 1, is layer floor(i m / n) of the teacher's m: the last
    one is among them, whose states are to be learnt. The maps from states to targets start as those
    by which targets are made from the teacher's states (`teacher.teacher_outputs`): with all layers
    the loss of the words is 0 but for rounding.
    Raises UserError if the student is the deeper one. See `check_start`.
    """
    old = teacher.config.num_hidden_layers
    new = student.encoder.config.num_hidden_layers
    if new > old:
        raise UserError(
            f"pretraining.depths: {new} layers cannot start as some of the teacher's {old}; say "
            f"{old} at most, or leave start out"
        )
    source = teacher.state_dict()
    copied = {}
    for name in student.encoder.state_dict():
        parts = name.split(".")
        if parts[:2] == ["encoder", "layer"]:
            parts[2] = str((int(parts[2]) + 1) * old // new - 1)
        copied[name] = source[".".join(parts)]
    student.encoder.load_state_dict(copied)
    if student.to_token is not None:
        student.to_token.weight.copy_(torch.from_numpy(space.axes.T))
        student.to_token.bias.copy_(torch.from_numpy(-space.token_mean @ space.axes))
    if student.to_sentence is not None:
        nn.init.eye_(student.to_sentence.weight)
        student.to_sentence.bias.copy_(torch.from_numpy(-space.sentence_mean))


@torch.no_grad()
def start_from_shallower(student: Student, shallower: Student) -> None:
    """Progressive stacking (after Gong et al. 2019): every layer becomes several copies in a row.

    What a copy adds to its input, after attention and after the feed-forward layers, is divided
    by the number of copies. Together they then do about what the one layer did, and training goes
    on from the shallower model's loss and not from far above it. Everything else, the heads
    included, is copied.
    """
    source = shallower.state_dict()
    old = shallower.encoder.config.num_hidden_layers
    new = student.encoder.config.num_hidden_layers
    origin = [i * old // new for i in range(new)]
    copied = {}
    for name in student.state_dict():
        parts = name.split(".")
        copies = 1
        if parts[:3] == ["encoder", "encoder", "layer"]:
            layer = origin[int(parts[3])]
            parts[3] = str(layer)
            if parts[-3:-1] == ["output", "dense"]:
                copies = origin.count(layer)
        copied[name] = source[".".join(parts)] / copies
    student.load_state_dict(copied)
