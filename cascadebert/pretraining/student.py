"""The encoder that is pre-trained, its heads for pre-training, and the weights they start from."""

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from cascadebert.core.errors import UserError
from cascadebert.encoders.loading import (
    list_untrained,
    load_config,
    load_encoder,
    load_tokenizer,
)
from cascadebert.pretraining.teacher import Outputs, Space
from cascadebert.pretraining.vocabulary import Tokens


class Student(nn.Module):
    """A BERT encoder with pooler, and heads from its states to its targets.

    teacher_width: width of the sentence targets; None without them
    components:    width of the token targets; None without them
    has_mlm_head:  whether there is a head for masked words
    """

    def __init__(
        self,
        config: BertConfig,
        teacher_width: int | None,
        components: int | None,
        has_mlm_head: bool,
    ):
        super().__init__()
        width = config.hidden_size
        self.encoder = BertModel(config)
        # Pre-training sees short single sentences, so later positions and the second segment of a
        # pair stay untrained. Zeros add nothing to an input there; random weights would add noise.
        embeddings = self.encoder.embeddings
        nn.init.zeros_(embeddings.position_embeddings.weight)
        nn.init.zeros_(embeddings.token_type_embeddings.weight)
        embeddings.token_type_embeddings.weight.requires_grad_(False)
        self.to_sentence = nn.Linear(width, teacher_width) if teacher_width else None
        self.to_token = nn.Linear(width, components) if components else None
        # As in BERT: a transformation, then the word embeddings themselves as the output layer.
        self.mlm_transform = (
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
            if has_mlm_head
            else None
        )
        self.mlm_bias = nn.Parameter(torch.zeros(config.vocab_size)) if has_mlm_head else None
        for head in (self.to_sentence, self.to_token):
            if head is not None:
                nn.init.normal_(head.weight, std=width**-0.5)
                nn.init.zeros_(head.bias)

    def score_words(self, states: torch.Tensor) -> torch.Tensor:
        """Returns logits `[positions, vocabulary]` of the states `[positions, width]`."""
        assert self.mlm_transform is not None
        words = self.encoder.embeddings.word_embeddings.weight
        return self.mlm_transform(states) @ words.T + self.mlm_bias


def make_encoder_config(
    tokenizer: PreTrainedTokenizerBase, layers: int, shape: dict[str, int]
) -> BertConfig:
    """Returns the configuration of a BERT of this shape.

    shape: the section `pretraining.encoder` of the configuration

    It has no dropout: pre-training sees a sentence only a few times, and does not overfit. Raises
    UserError if the number of heads does not divide the width.
    """
    width, heads = shape["width"], shape["heads"]
    if width % heads:
        raise UserError(
            f"pretraining.encoder: {heads} heads do not divide the width {width}; change either"
        )
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=shape["intermediate"],
        max_position_embeddings=shape["positions"],
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        # On a CPU and short sentences, eager attention is half as fast again as torch's fused one.
        # pyrefly: ignore[unexpected-keyword]
        attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
    )


def has_trained_pooler(settings: dict[str, Any]) -> bool:
    """Whether the pooler is trained, or is a teacher's that has one; else it is random.

    settings: the section `pretraining` of the configuration
    """
    if settings["objectives"].get("sentence", 0) > 0:
        return True
    if "start" not in settings:
        return False
    teacher = load_encoder(settings["teacher"]["model"], settings["teacher"].get("layer"))
    return not any(name.startswith("pooler.") for name in list_untrained(teacher))


@torch.no_grad()
def start_words_from_teacher(student: Student, tokens: Tokens, outputs: Outputs, sentences: range):
    """Starts each word embedding as the mean of the teacher's states of that token.

    The mean is over the sentences of these numbers. A token that does not occur in them keeps its
    random start. The map from states to token targets starts as the identity: an encoder without
    layers would already predict the mean.
    """
    words = student.encoder.embeddings.word_embeddings.weight
    size, width = words.shape
    shared = min(width, outputs.components)
    total = np.zeros((size, outputs.components))
    count = np.zeros(size)
    for index in sentences:
        states = outputs.read_words(index).astype(np.float64)
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

    encoder:   the section `pretraining.encoder` of the configuration
    tokenizer: the student's
    teacher:   folder of the teacher
    """
    config = load_config(teacher)
    if (config.model_type, getattr(config, "hidden_act", None)) != ("bert", "gelu"):
        raise UserError(
            "pretraining.start: the encoders made here are BERTs with GELU, but the teacher "
            f"{teacher} is another model ({config.model_type}); leave start out, or name another "
            "teacher"
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
                f"teacher {teacher}, whose layers are copied; set the same value, or leave start "
                "out"
            )
    vocabulary = load_tokenizer(teacher).get_vocab()
    if tokenizer.get_vocab() != vocabulary or len(vocabulary) != config.vocab_size:
        raise UserError(
            f"pretraining.vocabulary is not the vocabulary of the teacher {teacher}, whose word "
            f"embeddings are copied; set it to {{from: {teacher}}}, or leave start out"
        )


@torch.no_grad()
def start_from_teacher(student: Student, teacher: BertModel, space: Space) -> None:
    """Copies the teacher's embeddings, pooler and every k-th layer (DistilBERT, Sanh et al. 2019).

    Layer i of the student's n layers, counted from 1, is layer floor(i m / n) of the teacher's m
    layers. The teacher's last layer is always copied, since the student learns its states. The maps
    from states to targets start as the maps that make targets of the teacher's states
    (`teacher.compute_outputs`). For a student with all layers, the loss of the words is therefore 0
    but for rounding. Raises UserError if the student is deeper than the teacher. See `check_start`.
    """
    old = teacher.config.num_hidden_layers
    new = student.encoder.config.num_hidden_layers
    if new > old:
        raise UserError(
            f"pretraining.depths: {new} layers cannot be copied from the teacher's {old}; set "
            f"{old} layers at most, or leave start out"
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
    """Replaces every layer by several copies in a row: progressive stacking (Gong et al. 2019).

    Unlike there, each copy's output of attention and of the feed-forward layers is divided by the
    number of copies. The copies together then do about as much as the one layer, so that training
    goes on near the shallower model's loss. All other weights, the heads' included, are copied
    unchanged.
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
