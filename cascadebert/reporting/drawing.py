"""The look of the figures: sizes, letters, colours, panels, and reproducible files.

Figures are drawn at the size of print: a column (3.3 in) or the text width (6.8 in). Letters have
7 pt or more. Colours differ for the colour-blind and on a grey printer, and every series also has
its own marker or line.
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cascadebert.core.files import File, replacing

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
    "text.parse_math": False,  # dollars in a title are dollars
}


@dataclass(frozen=True)
class Look:
    """The look of a series.

    line:   a matplotlib line style
    offset: place of the first marker along the curve, in diagonals of the panel
    fill:   colour of the bars
    """

    color: str
    marker: str
    line: object = "-"
    offset: float = 0.0
    fill: str = "white"


# Colours of Okabe and Ito (2008), safe for the colour-blind, and of different lightness in grey.
BLACK, VERMILION, SKY, BLUE = "black", "#D55E00", "#56B4E9", "#0072B2"
GREEN, ORANGE, PURPLE = "#009E73", "#E69F00", "#CC79A7"
CURVES = [
    Look(BLACK, "o"),
    Look(VERMILION, "s", (0, (4, 1.5)), 0.03),
    Look(SKY, "^", (0, (1, 1)), 0.06),
    Look(BLUE, "D", (0, (5, 1, 1, 1)), 0.09),
    Look(ORANGE, "v", (0, (7, 2)), 0.12),
    Look(GREEN, "P", (0, (3, 1, 1, 1, 1, 1)), 0.02),
    Look(PURPLE, "X", (0, (2, 2)), 0.05),
    Look("0.45", "<", (0, (1, 3)), 0.08),
    Look(BLUE, ">", (0, (8, 1, 1, 1)), 0.11),
    Look(GREEN, "p", (0, (1, 1, 3, 1)), 0.04),
    Look(VERMILION, "h", (0, (2, 1)), 0.07),
    Look("0.3", "d", (0, (6, 3)), 0.1),
]
PAIR = [Look(BLACK, "o", fill="0.25"), Look(ORANGE, "s", (0, (4, 1.5)), fill="#FBE3B3")]
# Marker, edge, face and size of a label in a scatter plot.
DOTS = [
    ("o", BLUE, BLUE, 3),
    ("^", VERMILION, "none", 7),
    ("x", BLACK, BLACK, 6),
    ("s", GREEN, "none", 6),
    ("+", PURPLE, PURPLE, 9),
    ("D", ORANGE, ORANGE, 3),
    ("v", SKY, "none", 7),
]
EASY: dict[str, Any] = {
    "label": "right (easy)",
    "facecolor": "#BFE0F5",
    "edgecolor": BLUE,
    "fill": True,
}
DIFFICULT: dict[str, Any] = {
    "label": "wrong (difficult)",
    "facecolor": "none",
    "edgecolor": VERMILION,
    "hatch": "//////",
    "fill": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """Applies STYLE, without the user's own matplotlibrc."""
    with matplotlib.style.context(["default", STYLE]):
        yield


def save_figure(figure: Figure, path: File, table: pd.DataFrame | None = None) -> None:
    """Writes a .pdf and a .png (200 dpi).

    path:  of one of them; only the suffixes differ
    table: the figure's data, for a .csv beside them, where no other file has them
    """
    path = Path(path)
    if table is not None:
        with replacing(path.with_suffix(".csv")) as draft:
            table.to_csv(draft, index=False, float_format="%.6g")
    undated = {".pdf": ("CreationDate", "Producer", "Creator"), ".png": ("Software",)}
    with styled():
        for suffix, names in undated.items():
            with replacing(path.with_suffix(suffix)) as draft:
                figure.savefig(draft, dpi=200, metadata=dict.fromkeys(names))


def panel_grid(panels: int, heights: Sequence[float]) -> tuple[Figure, np.ndarray]:
    """A figure with a column of axes for each panel: axes[row][panel].

    One panel has the width of a column. Several share the width of the page, two or three in a row.
    heights are in inches. `add_common_legend` makes room for itself.
    """
    across = _count_across(panels)
    down = -(-panels // across)
    width = COLUMN if panels == 1 else PAGE
    figure = Figure((width, down * (sum(heights) + 0.25)), layout="constrained")
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


def wrap_text(text: str, panels: int, inset: int = 0) -> str:
    """The text, in lines that fit the width of a panel of `panel_grid`.

    inset: letters of a line that something else takes, such as a legend's marker
    """
    letters = 26 if _count_across(panels) == 3 else 42
    return textwrap.fill(text, letters - inset)


def _count_across(panels: int) -> int:
    return 2 if panels in (2, 4) else min(panels, 3)


def add_common_legend(figure: Figure, axes: Sequence[Axes], labels: Sequence[str]) -> None:
    """One legend for all panels, below them, in the order of `labels`.

    The legend has as many columns as fit the figure, at most five. The figure grows by its height.
    """
    handles = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    labels = [label for label in labels if label in handles]
    for columns in range(min(len(labels), 5), 0, -1):
        legend = figure.legend(
            [handles[label] for label in labels],
            labels,
            loc="outside lower center",
            ncols=columns,
            columnspacing=0.7,
            handlelength=2.0,
            borderaxespad=0.1,
            handletextpad=0.4,
        )
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            figure.set_figheight(figure.get_figheight() + 0.16 * -(-len(labels) // columns) + 0.05)
            break
        legend.remove()
