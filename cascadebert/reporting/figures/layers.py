"""Accuracy and DIS after the same number of layers, reached in several ways."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from cascadebert.evaluation.layerwise import FEWEST
from cascadebert.reporting.drawing import CURVES, add_common_legend, panel_grid, styled


def figure2_layers(table: pd.DataFrame) -> Figure:
    """Accuracy on the examples that a system emits at each layer; below, their number.

    table: `layerwise.score_where_emitted` of each task and split, with columns task and split
    Bars are 95% intervals. Points of fewer than FEWEST examples are not drawn.
    """
    titles = list(dict.fromkeys(table["series"]))
    panels = list(table.groupby(["task", "split"], sort=False))
    layers = sorted(set(table["layers"]))
    with styled():
        figure, axes = panel_grid(len(panels), [1.9, 0.75])
        for (top, bottom), ((task, split), here) in zip(axes.T, panels, strict=True):
            drawn = here[here["n"] >= FEWEST]
            for rank, title in enumerate(titles):
                _draw_series(top, drawn[drawn["series"] == title], rank, len(titles))
            top.set_title(f"{task} ({split})", loc="left")
            top.set_ylabel("Accuracy (%)")
            top.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            top.tick_params(labelbottom=False)
            top.grid(True, axis="y")
            counts = here.groupby("layers")["n"].first()
            bottom.bar(counts.index, counts, width=0.7, color="0.8", edgecolor="0.3", linewidth=0.6)
            for x, count in counts.items():
                bottom.annotate(
                    f"{count:,.0f}",
                    (x, count),
                    (0, 2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    rotation=90,
                )
            bottom.set_ylim(0, 2.1 * max(counts.max(), 1))
            bottom.yaxis.set_major_locator(MaxNLocator(2, integer=True))
            bottom.set_ylabel("Examples")
            bottom.set_xlabel("Layers")
            for ax in (top, bottom):
                ax.set_xlim(layers[0] - 0.6, layers[-1] + 0.6)
                ax.set_xticks(layers)
        add_common_legend(figure, axes[0], titles)
    return figure


def figure3_dis(table: pd.DataFrame) -> Figure:
    """Difficulty inversion score after each number of layers: a heat map of layers x series.

    table: `layerwise.list_dis_by_layer` of all tasks
    Darker is higher, on one scale for all panels. A hatched cell: the series has no such model. A
    dash: the score is undefined because no example, or every one, is right.
    """
    titles = list(dict.fromkeys(table["series"]))
    panels = list(table.groupby(["task", "split"], sort=False))
    layers = sorted(set(table["layers"]))
    colors = matplotlib.colormaps["Blues"].copy()
    # Up to 0.8: numbers on the darkest blue would have no contrast on a grey printer.
    scale = matplotlib.colors.Normalize(
        table["dis"].min(), table["dis"].min() + (np.ptp(table["dis"].dropna()) or 1) / 0.8
    )
    with styled():
        figure, axes = panel_grid(len(panels), [0.35 + 0.165 * len(layers)])
        for ax, ((task, split), here) in zip(axes[0], panels, strict=True):
            values = here.set_index(["layers", "series"])["dis"]
            for row, depth in enumerate(layers):
                for column, title in enumerate(titles):
                    _draw_cell(ax, column, row, values.get((depth, title)), colors, scale)
            ax.set_xlim(0, len(titles))
            ax.set_ylim(0, len(layers))
            ax.set_xticks(np.arange(len(titles)) + 0.5, titles)
            ax.set_yticks(np.arange(len(layers)) + 0.5, [f"{depth:g}" for depth in layers])
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
            ax.set_ylabel("Layers")
            ax.set_title(f"{task} ({split})", loc="left")
    return figure


def _draw_series(ax, points: pd.DataFrame, rank: int, series: int) -> None:
    """Points at the same number of layers stand side by side."""
    look = CURVES[rank % len(CURVES)]
    shown = points.sort_values("layers")
    ax.errorbar(
        shown["layers"] + 0.16 * (rank - (series - 1) / 2),
        shown["accuracy"],
        yerr=np.abs(shown[["low", "high"]].to_numpy() - shown[["accuracy"]].to_numpy()).T,
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        linewidth=0.9,
        elinewidth=0.7,
        capsize=1.5,
        capthick=0.7,
        label=points["series"].iloc[0] if len(points) else None,
    )


def _draw_cell(ax, column: int, row: int, value: float | None, colors, scale) -> None:
    if value is None:
        ax.add_patch(
            Rectangle((column, row), 1, 1, facecolor="white", edgecolor="0.75", hatch="////", lw=0)
        )
        return
    color = "white" if np.isnan(value) else colors(scale(value))
    ax.add_patch(Rectangle((column, row), 1, 1, facecolor=color, edgecolor="white", lw=0.8))
    dark = np.dot(matplotlib.colors.to_rgb(color), [0.299, 0.587, 0.114]) < 0.5
    ax.text(
        column + 0.5,
        row + 0.5,
        "–" if np.isnan(value) else f"{value:.1f}",
        ha="center",
        va="center_baseline",
        color="white" if dark else "black",
    )
