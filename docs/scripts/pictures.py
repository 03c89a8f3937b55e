"""Draws the pictures of docs/explanation from exact formulas and from a finished experiment.

make run CONFIG=config/performance.yaml
PYTHONPATH=. python docs/scripts/pictures.py results/performance
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cascadebert.core.files import replacing
from cascadebert.data.predictions import Predictions
from cascadebert.deployment.thresholds import certify_threshold, choose_for_loss
from cascadebert.reporting.drawing import CURVES, styled
from cascadebert.systems.exits import CONFIDENCES

FOLDER = Path(__file__).parents[1] / "explanation"
SMALL, LARGE = "kd-bert-2-teacherbert-12", "finetune-bert-12"
DELTA, DRAWS = 0.1, 200
PROMISES = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0])  # points


def draw_cost(ax: Axes) -> None:
    """Speed-up of a cascade of k and 12 layers, by the share that the small model answers."""
    share = np.linspace(0, 1, 201)
    for look, depth in zip(CURVES, (2, 4, 6), strict=False):
        speedup = 12 / (depth + 12 * (1 - share))
        said = f"{depth} and 12"
        ax.plot(100 * share, speedup, color=look.color, linestyle=look.line, label=said)
    ax.axhline(1, color="0.6", linewidth=0.8)
    ax.set(xlabel="texts that the small model answers (%)", ylabel="speed-up in layers")
    ax.legend(title="layers of the members")


def draw_margin(ax: Axes) -> None:
    """The loss of one pair by the gap of its confidences, for three margins."""
    gap = np.linspace(-0.5, 0.5, 201)
    for look, margin in zip(CURVES, (0.1, 0.3, 0.5), strict=False):
        loss = np.maximum(0, margin - gap)
        ax.plot(gap, loss, color=look.color, linestyle=look.line, label=f"{margin:g}")
    ax.set(xlabel="confidence of the easy text less that of the difficult one", ylabel="loss")
    ax.legend(title="margin")


def load_population(results: Path) -> Predictions:
    """Small and large model on all texts that neither was trained on."""
    parts = []
    for split in ("dev", "test"):
        small, large = (
            Predictions.load(results / "predictions/movies" / run / "seed0" / f"{split}.npz")
            for run in (SMALL, LARGE)
        )
        parts.append(small.followed_by(large))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("logits", "ids", "labels")
    }
    return Predictions(costs=parts[0].costs, **joined)


def take(predictions: Predictions, rows: np.ndarray) -> Predictions:
    return Predictions(
        predictions.logits[rows], predictions.costs, predictions.ids[rows], predictions.labels[rows]
    )


def find_loss(population: Predictions, thresholds: list[float]) -> float:
    """Points of accuracy that the cascade loses against the large model."""
    right = population.predicted == population.labels[:, None]
    exits = CONFIDENCES.exit_index(population, thresholds)
    return 100 * float((right[:, -1].astype(int) - right[np.arange(len(right)), exits]).mean())


def draw_risk(ax: Axes, population: Predictions, texts: int) -> None:
    """How often a promise is broken, over many draws of the texts that choose the threshold."""
    draw = np.random.default_rng(0)
    losses = np.empty((2, DRAWS, len(PROMISES)))
    for number in range(DRAWS):
        sample = take(population, draw.integers(len(population.labels), size=texts))
        for place, promise in enumerate(PROMISES / 100):
            chosen = choose_for_loss(sample, promise)
            certified = [certify_threshold(sample, promise, DELTA)]
            losses[0, number, place] = find_loss(population, chosen)
            losses[1, number, place] = find_loss(population, certified)
    broken = 100 * (losses > PROMISES + 1e-9).mean(axis=1)
    names = ("fastest that loses no more on the sample", f"Learn then Test, delta = {DELTA:g}")
    for look, name, shares in zip(CURVES, names, broken, strict=False):
        ax.plot(
            PROMISES, shares, color=look.color, linestyle=look.line, marker=look.marker, label=name
        )
        print(name, dict(zip(PROMISES.tolist(), shares.round(1).tolist(), strict=True)))
        print("  mean loss", losses[names.index(name)].mean(axis=0).round(2).tolist())
    ax.axhline(100 * DELTA, color="0.6", linewidth=0.8)
    ax.set(xlabel="promised loss (points)", ylabel="samples that break it (%)", ylim=(-2, 100))
    ax.legend()


def main() -> None:
    population = load_population(Path(sys.argv[1]))
    print(len(population.labels), "texts")
    pictures = {
        "cost": draw_cost,
        "margin": draw_margin,
        "risk": lambda ax: draw_risk(ax, population, texts=1000),
    }
    for name, draw in pictures.items():
        with styled():
            figure = Figure(figsize=(4.4, 2.6), layout="constrained")
            draw(figure.add_subplot())
            with replacing(FOLDER / f"{name}.png") as draft:
                figure.savefig(draft, dpi=200, metadata={"Software": None})


if __name__ == "__main__":
    main()
