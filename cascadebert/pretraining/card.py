"""The card of a pre-trained encoder: what it was made from, how, and how well it learnt."""

from transformers import BertConfig


def model_card(
    settings: dict, config: BertConfig, progress, sentences: int, command: str
) -> str:
    """Markdown with the header that the Hugging Face hub reads.

    progress: where the training ended (`loop.Progress`); sentences: how many it could draw from;
    command: what makes this encoder again.
    """
    depth, width = config.num_hidden_layers, config.hidden_size
    corpora = "".join(
        f"- {entry.get('description', entry.get('file', entry.get('hub')))}\n"
        for entry in settings["corpora"]
    )
    last = {name: value for name, value in progress.curve[-1].items() if name != "tokens"}
    losses = "".join(f"| {_MEANING[name]} | {value:.4f} |\n" for name, value in last.items())
    objectives = "".join(
        f"- {_MEANING[name]} (weight {weight:g})\n"
        for name, weight in settings["objectives"].items()
        if weight
    )
    teacher = settings.get("teacher")
    taught = ""
    if teacher:
        layer = f", states after layer {teacher['layer']}" if "layer" in teacher else ""
        taught = (
            f"\n## Teacher\n\n{teacher.get('description', teacher['model'])}{layer}; "
            f"licence: {teacher.get('licence', 'see its own card')}. "
            "Its outputs were computed once, and stored.\n"
        )
    return f"""---
language: en
license: {settings["licence"]}
library_name: transformers
---

# BERT, {depth} layers, width {width}

A complete small encoder with pooler: {depth} layers, width {width}, {config.num_attention_heads} \
attention heads, feed-forward width {config.intermediate_size}, {config.vocab_size:,} lower-cased \
word pieces, at most {config.max_position_embeddings} tokens; trained on sentences of at most \
{settings["max_tokens"]} tokens. Weights are float16.

## Data

{corpora}
{sentences:,} sentences of these, of which {settings["schedule"]["held_out"]:,} were held out. \
{progress.tokens:,} tokens were seen in {progress.step:,} steps.

## Objective

{objectives}{taught}
## Held-out loss

| loss | value |
| --- | --- |
{losses}
## Made by

```
{command}
```

## Licence

The weights: {settings["licence"]}. The text that they were trained on is not part of them and has \
its own licence, named above.
"""


_MEANING = {
    "mlm": "masked language modelling, cross-entropy in nats",
    "sentence": "1 - cosine to the teacher's sentence vector, from the pooled [CLS] and the mean",
    "tokens": "1 - cosine to the teacher's state of each token",
}
