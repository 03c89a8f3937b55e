"""The figures: what is gained for what speed, and how far each confidence can be trusted.

Drawn for print at their size: a column (3.3 in) or the text width (6.8 in), letters of 7 pt and
more, colours that the colour-blind and a grey printer tell apart, and every series with a marker
or line of its own besides. The same input gives the same bytes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from cascadebert import metrics
from cascadebert.files import replacing
from cascadebert.predictions import Predictions
from cascadebert.tables import METRICS, reference_system

COLUMN, PAGE = 3.3, 6.8  # inches
STYLE = {
    "font.family": "DejaVu Sans",  # matplotlib brings it along: the same on every machine
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # conferences refuse Type 3 fonts
    "svg.hashsalt": "cascadebert",
}


@dataclass(frozen=True)
class Look:
    """How a series is drawn; `line` is a matplotlib line style, `fill` the colour of its bars."""

    color: str
    marker: str
    line: object = "-"
    fill: str = "white"


# Colours of Okabe and Ito (2008), safe for the colour-blind, and of different lightness in grey.
BLACK, VERMILION, SKY, BLUE = "black", "#D55E00", "#56B4E9", "#0072B2"
GREEN, ORANGE, PURPLE = "#009E73", "#E69F00", "#CC79A7"
CURVES = [
    Look(BLACK, "o"),
    Look(VERMILION, "s", (0, (4, 1.5))),
    Look(SKY, "^", (0, (1, 1))),
    Look(BLUE, "D", (0, (5, 1, 1, 1))),
    Look(ORANGE, "v", (0, (7, 2))),
    Look(GREEN, "P", (0, (3, 1, 1, 1, 1, 1))),
    Look(PURPLE, "X", (0, (2, 2))),
]
PAIR = [Look(BLACK, "o", fill="0.25"), Look(ORANGE, "s", (0, (4, 1.5)), fill="#FBE3B3")]
PAIR += [Look(BLUE, "D", (0, (1, 1))), Look(GREEN, "v", (0, (5, 1, 1, 1)))]
EASY = {"label": "right (easy)", "facecolor": "#BFE0F5", "edgecolor": BLUE, "fill": True}
DIFFICULT = {"label": "wrong (difficult)", "facecolor": "none", "edgecolor": VERMILION}
DIFFICULT |= {"hatch": "//////", "fill": True}


@contextmanager
def _styled() -> Iterator[None]:
    """The style above and nothing of the user's own matplotlibrc."""
    with matplotlib.style.context(["default", STYLE]):
        yield


def save_figure(figure: Figure, stem: str | os.PathLike) -> None:
    """Writes <stem>.pdf and <stem>.png (200 dpi)."""
    undated = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
    undated["png"] = {"Software": None}
    with _styled():
        for suffix, metadata in undated.items():
            with replacing(f"{stem}.{suffix}") as draft:
                figure.savefig(draft, dpi=200, metadata=metadata)


def figure_tradeoff(
    curves: pd.DataFrame, points: pd.DataFrame, titles: Mapping[str, str], proposed: str
) -> Figure:
    """Score against speed-up, a panel for each task and split (the form of the paper's Figure 5).

    curves, points: `evaluation.curve` and `evaluation.operating_points` of all systems
    proposed:       key of the system that is drawn on top
    A system with a single speed-up is a lone marker, the full model's score a thin line. The bar
    in the corner is as long as the median 95% interval of the panel's operating points.
    """
    panels = list(dict.fromkeys(zip(curves["task"], curves["split"], strict=True)))
    sizes = curves.groupby(["system", "task", "split"]).size().groupby("system").max()
    movable = [system for system in titles if sizes.get(system, 0) > 1]
    movable.sort(key=lambda system: system != proposed)
    single = [system for system in titles if sizes.get(system, 0) == 1]
    full = reference_system(points)
    fastest = 1.5 * points["target_speedup"].max()
    with _styled():
        figure, axes = _grid(len(panels), [2.2], legend_entries=len(sizes))
        for ax, (task, split) in zip(axes[0], panels, strict=True):
            here = curves[(curves["task"] == task) & (curves["split"] == split)]
            of_panel = points[(points["task"] == task) & (points["split"] == split)]
            for rank, system in enumerate(movable):
                line = here[here["system"] == system].sort_values("speedup")
                look = CURVES[rank % len(CURVES)]
                ax.plot(
                    *(line["speedup"], line["score"]),
                    color=look.color,
                    marker=look.marker,
                    linestyle=look.line,
                    markevery=(0.03 * rank, 0.14) if len(line) > 12 else None,
                    zorder=len(movable) - rank + 3,
                    label=titles[system],
                )
            for rank, system in enumerate(single):
                point = here[here["system"] == system]
                ax.plot(
                    *(point["speedup"], point["score"]),
                    color="0.3",
                    marker="hdp*8<>"[rank % 7],
                    linestyle="none",
                    markersize=5.5,
                    markerfacecolor="white",
                    label=titles[system],
                    zorder=len(movable) + 4,
                )
            for score in of_panel.loc[of_panel["system"] == full, "score"]:
                ax.axhline(score, color="0.4", linewidth=0.6, zorder=2)
            inside = here[here["speedup"] <= fastest]
            _speedup_axis(ax, min(1.0, inside["speedup"].min()) / 1.08, fastest)
            low, high = inside["score"].min(), inside["score"].max()
            ax.set_ylim(low - 0.06 * (high - low), high + 0.08 * (high - low))
            ax.set_ylabel(_sentence(f"{METRICS[of_panel['metric'].iloc[0]]} (%)"))
            ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            ax.set_title(f"{task} ({split})", loc="left")
            ax.grid(True)
            _interval_bar(ax, of_panel)
        _legend(figure, axes[0], [titles[system] for system in (*movable, *single)])
    return figure


def figure_reliability(
    panels: Mapping[str, Mapping[str, Sequence[Predictions]]], titles: Mapping[str, str]
) -> Figure:
    """Accuracy in each bin of confidence at the first exit, and how many examples are in the bin.

    panels: title of the panel -> system -> the scored split's predictions, one a replicate.
    Points lie at the bin's mean confidence, with 95% Wilson intervals over examples; the bins are
    those of the ECE, which the legend gives as mean over replicates.
    """
    with _styled():
        figure, axes = _grid(len(panels), [2.1, 0.75])
        for column, (title, systems) in enumerate(panels.items()):
            top, bottom = axes[0][column], axes[1][column]
            lowest = _lowest_edge(systems, 0.1)
            top.plot([100 * lowest, 100], [100 * lowest, 100], color="0.4", linewidth=0.6, zorder=1)
            for rank, (system, replicates) in enumerate(systems.items()):
                look = PAIR[rank]
                confidence, correct = _first_exit(replicates)
                bins = metrics.reliability_bins(confidence, correct)
                errors = [metrics.expected_calibration_error(*_first_exit([p])) for p in replicates]
                filled = bins[bins["count"] > 0]
                accuracy, n = filled["accuracy"], filled["count"] / len(replicates)
                low, high = _wilson(accuracy, n)
                top.errorbar(
                    100 * filled["confidence"],
                    100 * accuracy,
                    yerr=100 * np.array([accuracy - low, high - accuracy]),
                    color=look.color,
                    marker=look.marker,
                    linestyle=look.line,
                    elinewidth=0.7,
                    capsize=1.5,
                    capthick=0.7,
                    zorder=3 - rank,
                    label=f"{titles[system]}, ECE {100 * np.mean(errors):.1f}",
                )
                width = 100 * (bins["upper"] - bins["lower"]) * 0.42
                bottom.bar(
                    50 * (bins["lower"] + bins["upper"]) + (rank - 0.5) * width,
                    100 * bins["count"] / bins["count"].sum(),
                    width,
                    color=look.fill,
                    edgecolor=look.color,
                    linewidth=0.6,
                )
            top.set_title(title, loc="left")
            top.set_ylim(top.dataLim.y0 - 2, 101)
            for ax in (top, bottom):
                ax.set_xlim(100 * lowest, 100)
            top.set_ylabel("Accuracy (%)")
            top.tick_params(labelbottom=False)
            top.legend(loc="best", borderaxespad=0.2)
            top.grid(True)
            bottom.set_ylabel("Share (%)")
            bottom.set_xlabel("Confidence (%)")
    return figure


def figure_confidence(
    panels: Mapping[str, Mapping[str, Sequence[Predictions]]], titles: Mapping[str, str]
) -> Figure:
    """How confident the first exit is of what it predicts rightly (easy) and wrongly (difficult).

    panels: as for `figure_reliability`. Each of the two distributions adds up to 100%; triangles
    mark their means; DIS is the mean over replicates.
    """
    width = 0.025
    with _styled():
        systems_drawn = max(len(systems) for systems in panels.values())
        figure, axes = _grid(len(panels), [1.15] * systems_drawn, legend_entries=2)
        for column, (title, systems) in enumerate(panels.items()):
            edges = np.arange(_lowest_edge(systems, width), 1 + width / 2, width)
            highest = 0.0
            for row, (system, replicates) in enumerate(systems.items()):
                ax = axes[row][column]
                confidence, correct = _first_exit(replicates)
                for of_group, look in ((correct, EASY), (~correct, DIFFICULT)):
                    values = 100 * confidence[of_group]
                    if not len(values):
                        continue
                    share, _ = np.histogram(values, 100 * edges)
                    share = 100 * share / len(values)
                    highest = max(highest, share.max())
                    ax.stairs(share, 100 * edges, **look, linewidth=0.9)
                    ax.plot(
                        values.mean(), 1.0, marker="v", color=look["edgecolor"], markersize=5,
                        markerfacecolor=look["facecolor"], transform=ax.get_xaxis_transform(),
                        clip_on=False, zorder=5,
                    )  # fmt: skip
                scores = [metrics.difficulty_inversion_score(*_first_exit([p])) for p in replicates]
                ax.text(
                    *(0.03, 0.93, f"{titles[system]}\nDIS {100 * np.mean(scores):.1f}"),
                    transform=ax.transAxes,
                    va="top",
                    linespacing=1.3,
                )
                ax.set_xlim(100 * edges[0], 100)
                ax.tick_params(labelbottom=row == len(systems) - 1)
                ax.set_ylabel("Share (%)")
            for ax in axes[: len(systems), column]:
                ax.set_ylim(0, 1.12 * highest)
            axes[0][column].set_title(title, loc="left", pad=8)
            axes[len(systems) - 1][column].set_xlabel("Confidence (%)")
        _legend(figure, axes[0], [EASY["label"], DIFFICULT["label"]])
    return figure


def _grid(
    panels: int, heights: Sequence[float], legend_entries: int = 0
) -> tuple[Figure, np.ndarray]:
    """A figure with a column of axes for each panel: axes[row][panel].

    One panel takes a column of print, several the page, two or three side by side.
    """
    across = 2 if panels in (2, 4) else min(panels, 3)
    down = -(-panels // across)
    width = COLUMN if panels == 1 else PAGE
    legend = 0.16 * -(-legend_entries // (3 if panels == 1 else 5)) + 0.05
    height = down * (sum(heights) + 0.25) + legend
    figure = Figure((width, height), layout="constrained")
    axes = figure.subplots(
        down * len(heights),
        across,
        squeeze=False,
        gridspec_kw={"height_ratios": list(heights) * down},
    )
    axes = axes.reshape(down, len(heights), across).swapaxes(0, 1).reshape(len(heights), -1)
    for ax in axes[:, panels:].flat:
        ax.remove()
    return figure, axes[:, :panels]


def _legend(figure: Figure, axes: Sequence[Axes], labels: Sequence[str]) -> None:
    """One legend for all panels, below them, in the order of `labels`."""
    handles = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    labels = [label for label in labels if label in handles]
    columns = min(len(labels), 3 if len(axes) == 1 else 5)
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.2,
        handlelength=2.6,
        handletextpad=0.5,
    )


def _speedup_axis(ax: Axes, low: float, high: float) -> None:
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator([1, 2, 3, 4, 6, 8, 12, 16]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    ax.set_xlabel("Speed-up")


def _interval_bar(ax: Axes, points: pd.DataFrame) -> None:
    """The median 95% interval of these points, in the corner that falling curves leave free."""
    length = (points["high"] - points["low"]).median()
    if pd.isna(length):
        return
    bottom, top = ax.get_ylim()
    middle = bottom + 0.06 * (top - bottom) + length / 2
    of_axes = ax.get_yaxis_transform()
    ax.errorbar(
        [0.05], [middle], [length / 2], transform=of_axes, color="0.3", elinewidth=0.8, capsize=2
    )
    ax.text(0.08, middle, "95% interval\n(median)", transform=of_axes, va="center", color="0.3")


def _first_exit(replicates: Sequence[Predictions]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and correctness at the first exit, the replicates one after another."""
    confidence = np.concatenate([p.confidence[:, 0] for p in replicates])
    correct = np.concatenate([p.predicted[:, 0] == p.labels for p in replicates])
    return confidence, correct


def _lowest_edge(systems: Mapping[str, Sequence[Predictions]], width: float) -> float:
    """The edge of a bin below the least confidence there can be, 1 / number of labels."""
    labels = next(iter(systems.values()))[0].logits.shape[-1]
    return np.floor(1 / labels / width + 1e-9) * width


def _wilson(share: pd.Series, n: pd.Series, z: float = 1.96) -> tuple[pd.Series, pd.Series]:
    """95% Wilson interval of a share of n (Wilson 1927)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
