"""Confidence at the first exit beside accuracy."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cascadebert.data.predictions import Predictions
from cascadebert.evaluation import metrics
from cascadebert.reporting.drawing import (
    DIFFICULT,
    EASY,
    PAIR,
    add_common_legend,
    panel_grid,
    styled,
    wrap_text,
)

# System -> the predictions of one split, one a replicate.
OfSystems = Mapping[str, Sequence[Predictions]]
CONFIDENCE_BINS = 40  # from 0 to 1


def figure_reliability(panels: Mapping[str, OfSystems], titles: Mapping[str, str]) -> Figure:
    """Accuracy and number of examples in each bin of confidence at the first exit.

    panels: title of the panel -> system -> the scored split's predictions, one a replicate; two
            systems at most, with DAR and without
    Points lie at the bin's mean confidence, with 95% Wilson intervals over examples. The bins are
    those of the ECE. The legend has the ECE, a mean over replicates.
    """
    with styled():
        figure, axes = panel_grid(len(panels), [2.1, 0.75, 0.5])
        for column, (title, systems) in enumerate(panels.items()):
            top, bottom, below = axes[:, column]
            lowest = 100 * _find_lowest_edge(systems, 10)
            top.plot([lowest, 100], [lowest, 100], color="0.4", linewidth=0.6, zorder=1)
            for rank, (system, replicates) in enumerate(systems.items()):
                _draw_reliability(top, bottom, replicates, titles[system], rank)
            top.set_title(wrap_text(title, len(panels)), loc="left")
            top.set_ylim(top.dataLim.y0 - 2, 101)
            for ax in (top, bottom):
                ax.set_xlim(lowest, 100)
            top.set_ylabel("Accuracy (%)")
            top.tick_params(labelbottom=False)
            top.grid(True)
            bottom.set_ylabel("Share (%)")
            bottom.set_xlabel("Confidence (%)")
            handles, labels = top.get_legend_handles_labels()
            labels = [wrap_text(label, len(panels), inset=6) for label in labels]
            below.legend(handles, labels, loc="upper left", borderaxespad=0)
            below.axis("off")
    return figure


def figure_confidence(panels: Mapping[str, OfSystems], titles: Mapping[str, str]) -> Figure:
    """Confidence of the first exit on examples that it gets right (easy) and wrong (difficult).

    panels: as for `figure_reliability`
    Each of the two distributions adds up to 100%. Triangles mark the means. DIS is a mean over the
    replicates for which it is defined, as in Table 5.
    """
    rows = max(map(len, panels.values()))
    with styled():
        figure, axes = panel_grid(len(panels), [1.15] * rows)
        for column, (title, systems) in enumerate(panels.items()):
            lowest = _find_lowest_edge(systems, CONFIDENCE_BINS)
            highest = max(
                _draw_confidence(ax, replicates, lowest, wrap_text(titles[system], len(panels)))
                for ax, (system, replicates) in zip(axes[:, column], systems.items(), strict=False)
            )
            for row, ax in enumerate(axes[:, column]):
                ax.set_xlim(100 * lowest, 100)
                ax.set_ylim(0, 1.5 * highest)
                ax.tick_params(labelbottom=row == rows - 1)
                ax.set_ylabel("Share (%)")
            axes[0, column].set_title(wrap_text(title, len(panels)), loc="left", pad=8)
            axes[-1, column].set_xlabel("Confidence (%)")
        add_common_legend(figure, axes[0], [EASY["label"], DIFFICULT["label"]])
    return figure


def _draw_reliability(
    top: Axes, bottom: Axes, replicates: Sequence[Predictions], title: str, rank: int
) -> None:
    look = PAIR[rank]
    bins = metrics.reliability_bins(*_join_first_exits(replicates))
    error = np.mean(
        np.array([metrics.expected_calibration_error(*_join_first_exits([p])) for p in replicates])
    )
    filled = bins[bins["count"] > 0]
    accuracy = filled["accuracy"]
    low, high = _find_wilson_interval(accuracy, filled["count"] / len(replicates))
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
    """Returns the highest share in percent."""
    confidence, correct = _join_first_exits(replicates)
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
    dis = np.array(
        [metrics.difficulty_inversion_score(*_join_first_exits([p])) for p in replicates]
    )
    defined = dis[~np.isnan(dis)]
    text = f"{title}\nDIS {f'{100 * defined.mean():.1f}' if len(defined) else 'undefined'}"
    ax.text(0.03, 0.93, text, transform=ax.transAxes, va="top", linespacing=1.3)
    return highest


def _join_first_exits(replicates: Sequence[Predictions]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and correctness at the first exit, the replicates one after another."""
    confidence = np.concatenate([p.confidence[:, 0] for p in replicates])
    correct = np.concatenate([p.predicted[:, 0] == p.labels for p in replicates])
    return confidence, correct


def _find_lowest_edge(systems: OfSystems, bins: int) -> float:
    """The highest edge of a bin that no confidence (at least 1 / labels) is below."""
    labels = next(iter(systems.values()))[0].logits.shape[-1]
    return np.floor(bins / labels + 1e-9) / bins


def _find_wilson_interval(
    share: pd.Series, n: pd.Series, z: float = 1.96
) -> tuple[pd.Series, pd.Series]:
    """95% Wilson interval of a share of n (Wilson 1927)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half
