"""Scatter plots of the states after a few layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from cascadebert.reporting.drawing import COLUMN, DOTS, PAGE, add_common_legend, styled


@dataclass(frozen=True, eq=False)
class Panel:
    """The states of one system on one task.

    title:      names task and system
    points:     `[examples, 2]`, see `separation.tsne`
    labels:     gold labels, int64 `[examples]`
    names:      of the labels
    accuracy:   percent, of the exit that reads the states
    silhouette: of the states, not of the points
    """

    title: str
    points: np.ndarray
    labels: np.ndarray
    names: Sequence[str]
    accuracy: float
    silhouette: float


def figure4_representations(panels: Sequence[Sequence[Panel]]) -> Figure:
    """A scatter plot for each system, those of a task side by side.

    panels: `[tasks][systems]`
    """
    systems = len(panels[0])
    beside = 2 if len(panels) > 1 and systems <= 2 else 1  # tasks in a row of the page
    rows = -(-len(panels) // beside)
    width = COLUMN if len(panels) == 1 else PAGE
    looks = _assign_looks([of_task[0].names for of_task in panels])
    side = width / (beside * systems)
    with styled():
        figure = Figure((width, rows * (side + 0.45) + 0.05), layout="constrained")
        axes = figure.subplots(rows, beside * systems, squeeze=False)
        for ax in axes.flat[len(panels) * systems :]:
            ax.remove()
        drawn = axes.flat[: len(panels) * systems]
        for ax, panel in zip(drawn, [p for of_task in panels for p in of_task], strict=True):
            _draw_states(ax, panel, looks)
        add_common_legend(figure, list(drawn), list(looks))
    return figure


def _assign_looks(tasks: Sequence[Sequence[str]]) -> dict[str, int]:
    """The place in DOTS of each label, the same on all tasks: one legend stands for them all.

    tasks: the names of each task's labels
    """
    places: dict[str, int] = {}
    for names in tasks:
        taken = {places[name] for name in names if name in places}
        free = [place for place in range(len(DOTS)) if place not in taken] or [0]
        new = [name for name in names if name not in places]
        places |= {name: free[k % len(free)] for k, name in enumerate(new)}
    return places


def _draw_states(ax, panel: Panel, looks: Mapping[str, int]) -> None:
    for label, name in enumerate(panel.names):
        marker, edge, face, size = DOTS[looks[name]]
        x, y = panel.points[panel.labels == label].T
        crossed = {"color": edge} if marker in "x+" else {"edgecolors": edge, "facecolors": face}
        ax.scatter(x, y, s=size, marker=marker, linewidths=0.5, **crossed, label=name)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    ax.set_title(panel.title, loc="left", fontsize=7)
    shown = "–" if np.isnan(panel.silhouette) else f"{panel.silhouette:.3f}"
    ax.set_xlabel(f"accuracy {panel.accuracy:.1f}%\nsilhouette {shown}", fontsize=7, loc="left")
