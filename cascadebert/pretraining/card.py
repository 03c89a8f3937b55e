"""The card of a pre-trained encoder: its data, its objectives and its held-out losses."""

from typing import Any

from transformers import BertConfig

_MEANING = {
    "mlm": "masked language modelling, cross-entropy in nats",
    "sentence": "1 - cosine to the teacher's sentence vector, from the pooled [CLS] and the mean",
    "words": "1 - cosine to the teacher's state of each token",
}


def compose_model_card(
    settings: dict[str, Any],
    config: BertConfig,
    end: dict[str, float],
    sentences: int,
    has_pooler: bool,
) -> str:
    """Returns Markdown with the header that the Hugging Face hub reads.

    settings:  the section `pretraining` of the configuration
    end:       the last row of the learning curve: tokens, then the held-out losses
    sentences: the number of sentences of the corpus that the encoder could see
    """
    card = settings["card"]
    data = "".join(f"- {line}\n" for line in card["data"])
    losses = "".join(
        f"| {_MEANING[name]} | {value:.4f} |\n" for name, value in end.items() if name in _MEANING
    )
    objectives = "".join(
        f"- {_MEANING[name]} (weight {weight:g})\n"
        for name, weight in settings["objectives"].items()
        if weight
    )
    before = _tell_earlier_depths(settings, config.num_hidden_layers)
    teacher = _describe_teacher(settings, is_stacked=bool(before))
    pooler = "with pooler" if has_pooler else "without pooler"
    return f"""---
language: en
license: {card["licence"]}
library_name: transformers
---

# BERT, {config.num_hidden_layers} layers, width {config.hidden_size}

A complete small encoder {pooler}: {config.num_hidden_layers} layers, width \
{config.hidden_size}, {config.num_attention_heads} attention heads, feed-forward width \
{config.intermediate_size}, {config.vocab_size:,} word pieces, weights as float16. It takes up to \
{config.max_position_embeddings} tokens, and was trained on sentences of at most \
{settings["max_tokens"]}.

## Data

{data}
{sentences:,} sentences of these, {settings["held_out"]:,} of them held out; \
{int(end["tokens"]):,} tokens seen at this depth{before}.

## Objective

{objectives}{teacher}
## Held-out loss

| loss | value |
| --- | --- |
{losses}
## Made by

    {card["command"]}

## Licence

{card["licence"]}, for the weights. The texts they were trained on are not part of them and keep \
their own licences.
"""


def _tell_earlier_depths(settings: dict[str, Any], layers: int) -> str:
    """The shallower encoders that this one was stacked from; "" if there were none."""
    earlier = [depth for depth in settings["depths"] if depth["layers"] < layers]
    if not (settings["stacking"] and earlier):
        return ""
    return (
        f", after {sum(depth['tokens'] for depth in earlier):,} by the shallower encoders of which "
        f"the next, with {max(depth['layers'] for depth in earlier)} layers, was the start of this"
    )


def _describe_teacher(settings: dict[str, Any], is_stacked: bool) -> str:
    """The section about the teacher; "" if there was none."""
    if "teacher" not in settings:
        return ""
    layer = settings["teacher"].get("layer")
    states = f"Its states after layer {layer}" if layer else "Its last states"
    text = (
        f"\n## Teacher\n\n{settings['card']['teacher']}\n\n"
        f"{states} were computed once, and stored.\n"
    )
    if "start" in settings and not is_stacked:
        text += "The encoder started as its embeddings and evenly spaced layers.\n"
    return text
