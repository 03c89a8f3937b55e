"""The model card of an exported cascade: README.md, and its figure."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from cascadebert.core.text import join_words
from cascadebert.data.predictions import Predictions
from cascadebert.data.task import DEV, Task
from cascadebert.data.tokens import has_pairs
from cascadebert.deployment.folder import Description
from cascadebert.deployment.members import INT8, TORCH
from cascadebert.encoders.loading import load_config
from cascadebert.encoders.pooling import FIRST, MEAN, POOLING
from cascadebert.evaluation.choice import sweep
from cascadebert.evaluation.metrics import difficulty_inversion_score, expected_calibration_error
from cascadebert.evaluation.promises import DELTA
from cascadebert.systems.exits import CONFIDENCES

FIGURE = "tradeoff.png"
CARD = """\
---
{front}---

# {title}: {labels}

A cascade of {count} classifiers. The small one answers where it is confident; other texts go on to
the next. Trained and measured by [CascadeBERT, reproduced](https://aclanthology.org/2021.findings-emnlp.43/):
experiment `{experiment}`, task `{task}`, system `{system}`.

```python
from cascadebert import Cascade

cascade = Cascade.from_pretrained("FOLDER", speedup={speedup:g}, runtime="onnx-int8")
cascade({texts}).as_pipeline()  # [{{"label": ..., "score": ...}}]
```

For files: `cascadebert predict --model FOLDER --speedup {speedup:g} --runtime onnx-int8 input.csv
output.csv`. {members}

## Score and speed-up

{points}

Thresholds were chosen on the development split ({dev:,} texts). Score and speed-up are those on the
split `{split}` ({examples:,} texts), with 95% bootstrap intervals over texts. The intervals say
nothing of other trainings. A speed-up is the depth of the full model over the mean number of layers
executed. It counts layers, and is no measurement of time. Thresholds that `fit_thresholds` chose
later are in `cascade.json` alone.

![{metric} against speed-up]({figure})

## Promises

{promises}

The promise: with a probability of at least {certainty:.0%} over the draw of the development
split, the accuracy on new texts is at most the promised loss below that of the last member alone
(Learn then Test, Angelopoulos et al. 2021). A negative loss is a gain. The development split also
chose {chosen}, which the theory does not allow for. For a promise on your own texts, call
`cascade.fit_thresholds(texts, labels, max_loss=0.01, delta=0.1)` with texts that no member has
seen. To use a threshold of this table: `Cascade.from_pretrained("FOLDER",
max_loss=0.01)`, or `cascadebert predict --max-loss 0.01`.

## Calibration

{calibration}

ECE is the expected calibration error in 10 bins. DIS is the difficulty inversion score: how well
confidence tells right from wrong answers, at best 1.{scaling}

## Data

{data}

Texts are cut at {max_length} tokens.

## Provenance

{provenance}
"""


def write_card(
    folder: Path,
    described: Description,
    data: Task,
    predicted: Mapping[str, Mapping[str, Predictions]],
    full_cost: float,
    candidates: int = 1,
) -> None:
    """Writes README.md and the figure to the cascade's folder.

    predicted:  runtime -> split -> predictions of all members
    full_cost:  of the reference model, in the unit of the predictions' costs
    candidates: among which the development split chose, such as margins of DAR
    """
    split = data.scored_splits[0]
    _draw_tradeoff(folder / FIGURE, described, data.metric, split, predicted, full_cost)
    about = described.about
    front = {
        "library_name": "cascadebert",
        "pipeline_tag": "text-classification",
        "metrics": [data.metric],
        "tags": ["cascade", "early-exit", "onnx"],
    }
    card = CARD.format(
        front=yaml.safe_dump(front, sort_keys=False),
        title=about["title"],
        labels=", ".join(data.labels),
        count=len(described.members),
        experiment=about["experiment"],
        task=about["task"],
        system=about["system"],
        speedup=described.points[0].target or 1,
        texts='["a text"], ["its pair"]' if has_pairs(data.splits[DEV]) else '["a text"]',
        points=_table_points(described, split),
        promises=_table_promises(described, split),
        certainty=1 - DELTA,
        chosen=_name_chosen(described, candidates),
        dev=len(data.splits[DEV]),
        split=split,
        examples=len(data.splits[split]),
        metric=data.metric,
        figure=FIGURE,
        calibration=_table_calibration(predicted, about["members"], split),
        members=_describe_members(folder, described),
        scaling=_describe_scaling(described),
        data=_table_data(data),
        max_length=described.max_length,
        provenance=_list_provenance(described),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _table(header: list[str], rows: list[list[str]]) -> str:
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _table_points(described: Description, split: str) -> str:
    rows = []
    for point in described.points:
        if point.target is None:
            continue
        of = point.measured[split]
        score = f"{of['score']:.1f} ({of['low']:.1f} to {of['high']:.1f})"
        speedup = f"{of['speedup']:.2f}x ({of['speedup_low']:.2f} to {of['speedup_high']:.2f})"
        thresholds = ", ".join(f"{value:.4f}" for value in point.thresholds)
        rows.append([point.runtime, f"{point.target:g}x", thresholds, score, speedup])
    metric = described.about["metric"]
    return _table(["runtime", "for", "threshold", f"{metric} (%)", "speed-up"], rows)


def _table_promises(described: Description, split: str) -> str:
    rows = []
    for point in described.points:
        if point.promise is None:
            continue
        of, most = point.measured[split], 100 * point.promise["max_loss"]
        threshold = f"{point.thresholds[0]:.4f}" if point.thresholds[0] < 1 else "none keeps it"
        loss = f"{of['loss']:.1f} ({of['low']:.1f} to {of['high']:.1f})"
        rows.append([point.runtime, f"{most:g}", threshold, loss, f"{of['speedup']:.2f}x"])
    where = f"{split} (in-sample)" if split == DEV else split
    header = ["runtime", "promised loss (points)", "threshold", f"loss on {where}", "speed-up"]
    table = _table(header, rows)
    if split != DEV:
        return table
    return (
        f"{table}\n\nIn-sample: no test split has labels, and these losses are on the texts that "
        "chose the thresholds.\nThey say nothing of new texts; the promise does."
    )


def _table_calibration(
    predicted: Mapping[str, Mapping[str, Predictions]], members: list[str], split: str
) -> str:
    rows = []
    for runtime in (TORCH, INT8):
        found = predicted[runtime][split]
        right = found.predicted == found.labels[:, None]
        for index, member in enumerate(members):
            confidence = found.confidence[:, index]
            ece = expected_calibration_error(confidence, right[:, index])
            dis = difficulty_inversion_score(confidence, right[:, index])
            accuracy = 100 * right[:, index].mean()
            rows.append([member, runtime, f"{accuracy:.1f}", f"{100 * ece:.1f}", f"{dis:.3f}"])
    return _table(["member", "runtime", "accuracy (%)", "ECE (%)", "DIS"], rows)


def _describe_members(folder: Path, described: Description) -> str:
    configs = [load_config(folder / member.folder) for member in described.members]
    if any(getattr(config, POOLING, FIRST) == MEAN for config in configs):
        return (
            "Members classify the mean of all\ntokens' states, which "
            "`AutoModelForSequenceClassification` does not: use `Cascade`, or the ONNX files."
        )
    return (
        "The members are\nordinary classifiers: "
        '`AutoModelForSequenceClassification.from_pretrained("FOLDER/member-1")`.'
    )


def _is_scaled(described: Description) -> bool:
    return any(member.temperature != 1 for member in described.members)


def _name_chosen(described: Description, candidates: int) -> str:
    """What the development split chose beside the thresholds."""
    found = ["the best epoch"]
    if candidates > 1:
        found.append(f"one of {candidates} trainings (margins, alphas or settings)")
    if _is_scaled(described):
        found.append("the temperatures")
    return join_words(found)


def _describe_scaling(described: Description) -> str:
    if not _is_scaled(described):
        return ""
    named = ", ".join(f"{member.temperature:.3f}" for member in described.members)
    return (
        " The cascade divides the members' logits by the temperatures that the development split "
        f"chose ({named}); a member alone does not."
    )


def _table_data(data: Task) -> str:
    rows = [
        [
            split,
            f"{of['rows']:,}",
            ", ".join(f"{label} {count:,}" for label, count in of["classes"].items()),
            of["source"],
            ", ".join(f"{count:,} in {earlier}" for earlier, count in of["shared"].items()) or "0",
        ]
        for split, of in data.description["splits"].items()
    ]
    return _table(["split", "rows", "classes", "source", "texts of earlier splits"], rows)


def _list_provenance(described: Description) -> str:
    about = described.about
    lines = [f"cascadebert {described.version}", f"training number {about['replicate']}"]
    if code := about.get("code"):
        lines.append(f"library {code['library']}, commit {code['commit'] or 'unknown'}")
        versions = [f"{name} {found}" for name, found in about["packages"].items() if found]
        lines.append(f"Python {about['python']}; {', '.join(versions)}")
    for member, files in zip(about["members"], about["sha256"], strict=True):
        lines += [f"{member}, {name}: SHA-256 `{digest}`" for name, digest in files.items()]
    return "\n".join(f"* {line}" for line in lines)


def _draw_tradeoff(
    path: Path,
    described: Description,
    metric: str,
    split: str,
    predicted: Mapping[str, Mapping[str, Predictions]],
    full_cost: float,
) -> None:
    """Score against speed-up: the curve of all thresholds, and the points for the targets."""
    from matplotlib.figure import Figure  # takes half a second

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    for runtime, colour, style in ((TORCH, "black", "-"), (INT8, "0.55", "--")):
        swept = sweep(predicted[runtime][split], CONFIDENCES, metric, full_cost)
        order = np.argsort(swept.speedups)
        if swept.knobs.shape[1] == 1:  # several thresholds would give a cloud, no curve
            axes.plot(swept.speedups[order], swept.scores[order], style, color=colour, linewidth=1)
        points = [
            point.measured[split]
            for point in described.points
            if point.runtime == runtime and point.target is not None
        ]
        scores = np.array([of["score"] for of in points])
        bars = [scores - [of["low"] for of in points], [of["high"] for of in points] - scores]
        axes.errorbar(
            [of["speedup"] for of in points],
            scores,
            yerr=bars,
            fmt="o",
            markersize=4,
            capsize=2,
            color=colour,
            label=runtime,
        )
    axes.set_xscale("log")
    ticks = [1, 2, 3, 4, 6, 8]
    axes.set_xticks(ticks, [f"{tick}x" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("speed-up")
    axes.set_ylabel(f"{metric} (%)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
