"""Finds what a valid section `pretraining` cannot mean, before hours of pre-training show it."""

from collections import Counter
from collections.abc import Iterator

from cascadebert.encoders.shape import read_shape
from cascadebert.experiment.configuration import Experiment


def find_pretraining_mistakes(experiment: Experiment) -> Iterator[str]:
    section = experiment.config.get("pretraining")
    if section is None:
        return
    encoder, (shortest, longest) = section["encoder"], section["characters"]
    if encoder["width"] % encoder["heads"]:
        yield (
            f"pretraining.encoder: {encoder['heads']} heads do not divide the width "
            f"{encoder['width']}; change either"
        )
    if section["max_tokens"] > encoder["positions"]:
        yield (
            f"pretraining.max_tokens: {section['max_tokens']} tokens, but the encoders read "
            f"{encoder['positions']} at most (encoder.positions); change either"
        )
    if shortest > longest:
        yield (
            f"pretraining.characters: no sentence has at least {shortest} and at most {longest} "
            "characters; write the smaller number first"
        )
    for layers, count in Counter(depth["layers"] for depth in section["depths"]).items():
        if count > 1:
            yield f"pretraining.depths: {layers} layers are there {count} times; delete the others"
    shown = section.get("teacher", {}).get("sentences")
    if shown is not None and shown <= section["held_out"]:
        yield (
            f"pretraining.teacher.sentences: the teacher reads {shown} sentences, and held_out "
            f"takes {section['held_out']}, so that none is left to train on; raise the first or "
            "lower the second"
        )
    yield from _find_shallow_teacher(experiment)


def _find_shallow_teacher(experiment: Experiment) -> Iterator[str]:
    """One with fewer layers than an encoder copies, as far as its config.json tells."""
    encoders, section = experiment.encoders, experiment.encoders.pretraining
    if "start" not in section:
        return
    shape = read_shape(section["teacher"]["model"])
    copying = [layers for layers in encoders.depths if encoders.next_shallower(layers) is None]
    if shape and max(copying) > (old := section["teacher"].get("layer", shape.num_hidden_layers)):
        yield (
            f"pretraining.depths: {max(copying)} layers cannot be copied from the teacher's {old}; "
            f"set {old} layers at most, or leave start out"
        )
