"""How far the confidence at the first exit can be trusted."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cascadebert.evaluation import metrics
from cascadebert.reporting.drawing import (
    DIFFICULT,
    EASY,
    PAIR,
    common_legend,
    empty_figure,
    panel_grid,
    styled,
)
from cascadebert.training.predictions import Predictions

# System -> the predictions of one split, one a replicate.
OfSystems = Mapping[str, Sequence[Predictions]]
CONFIDENCE_BINS = 40  # from 0 to 1
NO_PAIR = "No system was run with and without DAR."


def figure_reliability(panels: Mapping[str, OfSystems], titles: Mapping[str, str]) -> Figure:
    """Accuracy in each bin of confidence at the first exit, and how many examples are in the bin.

    panels: title of the panel -> system -> the scored split's predictions, one a replicate; two
            systems at most, with DAR and without
    Points lie at the bin's mean confidence, with 95% Wilson intervals over examples; the bins are
    those of the ECE, which the legend gives as mean over replicates.
    """
    if not all(panels.values()) or not panels:
        return empty_figure(NO_PAIR)
    with styled():
        figure, axes = panel_grid(len(panels), [2.1, 0.75])
        for column, (title, systems) in enumerate(panels.items()):
            top, bottom = axes[:, column]
            lowest = 100 * _lowest_edge(systems, 10)
            top.plot([lowest, 100], [lowest, 100], color="0.4", linewidth=0.6, zorder=1)
            for rank, (system, replicates) in enumerate(systems.items()):
                _draw_reliability(top, bottom, replicates, titles[system], rank)
            top.set_title(title, loc="left")
            top.set_ylim(top.dataLim.y0 - 2, 101)
            for ax in (top, bottom):
                ax.set_xlim(lowest, 100)
            top.set_ylabel("Accuracy (%)")
            top.tick_params(labelbottom=False)
            top.legend(loc="best", borderaxespad=0.2)
            top.grid(True)
            bottom.set_ylabel("Share (%)")
            bottom.set_xlabel("Confidence (%)")
    return figure


def figure_confidence(panels: Mapping[str, OfSystems], titles: Mapping[str, str]) -> Figure:
    """How confident the first exit is of what it predicts rightly (easy) and wrongly (difficult).

    panels: as for `figure_reliability`. Each of the two distributions adds up to 100%; triangles
    mark their means; DIS is the mean over replicates.
    """
    if not all(panels.values()) or not panels:
        return empty_figure(NO_PAIR)
    rows = max(map(len, panels.values()))
    with styled():
        figure, axes = panel_grid(len(panels), [1.15] * rows, legend_entries=2)
        for column, (title, systems) in enumerate(panels.items()):
            lowest = _lowest_edge(systems, CONFIDENCE_BINS)
            highest = max(
                _draw_confidence(ax, replicates, lowest, titles[system])
                for ax, (system, replicates) in zip(axes[:, column], systems.items(), strict=False)
            )
            for row, ax in enumerate(axes[:, column]):
                ax.set_xlim(100 * lowest, 100)
                ax.set_ylim(0, 1.5 * highest)
                ax.tick_params(labelbottom=row == rows - 1)
                ax.set_ylabel("Share (%)")
            axes[0, column].set_title(title, loc="left", pad=8)
            axes[-1, column].set_xlabel("Confidence (%)")
        common_legend(figure, axes[0], [EASY["label"], DIFFICULT["label"]])
    return figure


def _draw_reliability(
    top: Axes, bottom: Axes, replicates: Sequence[Predictions], title: str, rank: int
) -> None:
    look = PAIR[rank]
    bins = metrics.reliability_bins(*_first_exit(replicates))
    error = np.mean(
        np.array([metrics.expected_calibration_error(*_first_exit([p])) for p in replicates])
    )
    filled = bins[bins["count"] > 0]
    accuracy = filled["accuracy"]
    low, high = _wilson(accuracy, filled["count"] / len(replicates))
    top.errorbar(
        100 * filled["confidence"],
        100 * accuracy,
        yerr=100 * np.array([accuracy - low, high - accuracy]).clip(0),
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        elinewidth=0.7,
        capsize=1.5,
        capthick=0.7,
        zorder=3 - rank,
        label=f"{title}, ECE {100 * error:.1f}",
    )
    width = 42 * (bins["upper"] - bins["lower"])
    bottom.bar(
        50 * (bins["lower"] + bins["upper"]) + (rank - 0.5) * width,
        100 * bins["count"] / bins["count"].sum(),
        width,
        color=look.fill,
        edgecolor=look.color,
        linewidth=0.6,
    )


def _draw_confidence(
    ax: Axes, replicates: Sequence[Predictions], lowest: float, title: str
) -> float:
    """Returns the highest share."""
    confidence, correct = _first_exit(replicates)
    edges = np.arange(round(lowest * CONFIDENCE_BINS), CONFIDENCE_BINS + 1) / CONFIDENCE_BINS
    highest = 0.0
    for of_group, look in ((correct, EASY), (~correct, DIFFICULT)):
        count, _ = np.histogram(confidence[of_group], edges)
        share = 100 * count / max(count.sum(), 1)
        highest = max(highest, share.max())
        ax.stairs(share, 100 * edges, **look, linewidth=0.9)
        if count.any():
            ax.plot(
                100 * confidence[of_group].mean(),
                1.0,
                marker="v",
                markersize=5,
                color=look["edgecolor"],
                markerfacecolor=look["facecolor"],
                transform=ax.get_xaxis_transform(),
                clip_on=False,
                zorder=5,
            )
    dis = np.mean(
        np.array([metrics.difficulty_inversion_score(*_first_exit([p])) for p in replicates])
    )
    text = f"{title}\nDIS {100 * dis:.1f}"
    ax.text(0.03, 0.93, text, transform=ax.transAxes, va="top", linespacing=1.3)
    return highest


def _first_exit(replicates: Sequence[Predictions]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and correctness at the first exit, the replicates one after another."""
    confidence = np.concatenate([p.confidence[:, 0] for p in replicates])
    correct = np.concatenate([p.predicted[:, 0] == p.labels for p in replicates])
    return confidence, correct


def _lowest_edge(systems: OfSystems, bins: int) -> float:
    """The last of the bins' edges that no confidence is below: it is at least 1 / labels."""
    labels = next(iter(systems.values()))[0].logits.shape[-1]
    return np.floor(bins / labels + 1e-9) / bins


def _wilson(share: pd.Series, n: pd.Series, z: float = 1.96) -> tuple[pd.Series, pd.Series]:
    """95% Wilson interval of a share of n (Wilson 1927)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half
