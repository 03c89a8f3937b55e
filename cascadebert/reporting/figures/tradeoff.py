"""Score against speed-up."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from cascadebert.reporting.drawing import CURVES, Look, add_common_legend, panel_grid, styled
from cascadebert.reporting.grid import METRICS, list_columns, list_undertrained, select_place

MANY = 10  # systems, above which a panel is taller


def figure_tradeoff(
    curves: pd.DataFrame,
    points: pd.DataFrame,
    probes: pd.DataFrame,
    titles: Mapping[str, str],
    proposed: str,
    full: str | None,
    bands: bool = False,
) -> Figure:
    """Score against speed-up, a panel for each task and split (the form of the paper's Figure 5).

    curves, points: `points.trace_curve` and `points.measure_operating_points` of all systems
    probes:         `measures.compare_with_probes` of all systems
    titles:         the systems to draw
    proposed:       key of the system on top
    full:           key of the full model, if it was run
    bands:          draw the curves' own 95% intervals, where there is room for them

    The legend names the systems with an undertrained exit in one of the panels; the curve is pale
    in such a panel. A system with a single speed-up is a lone marker. The full model's score is a
    thin line; that of the most frequent class stands above the axes, and is a dotted line if it
    lies within them. Without bands, a bar in the corner is as long as the median 95% interval of
    the drawn operating points.
    """
    # Those of all systems: what is drawn may have a single speed-up, far from every target.
    of_all = points
    curves, points = (frame[frame["system"].isin(titles)] for frame in (curves, points))
    panels = list_columns(curves)
    sizes = curves.groupby(["system", "task", "split"]).size().groupby("system").max()
    movable = [system for system in titles if sizes.get(system, 0) > 1]
    movable.sort(key=lambda system: system != proposed)
    single = [system for system in titles if sizes.get(system, 0) == 1]
    looks: dict[str, Look | str] = {
        system: CURVES[rank % len(CURVES)] for rank, system in enumerate(movable)
    }
    looks |= {system: "hdp<8>*"[rank % 7] for rank, system in enumerate(single)}
    weak = list_undertrained(probes)
    marked = {system for system, *_ in weak}
    labels = {system: titles[system] + " (undertrained)" * (system in marked) for system in looks}
    with styled():
        figure, axes = panel_grid(len(panels), [2.2 if len(looks) <= MANY else 3.0])
        for ax, place in zip(axes[0], panels, strict=True):
            here, of_panel = select_place(curves, place), select_place(of_all, place)
            for rank, (system, look) in enumerate(looks.items()):
                line = here[here["system"] == system].sort_values("speedup")
                # The proposed system above the others, single markers above all lines.
                above = 3 + len(looks) - rank if system in movable else 4 + len(looks)
                pale = {"alpha": 0.35} if (system, *place) in weak else {}
                _draw_system(ax, line, look, zorder=above, label=labels[system], **pale)
                if bands and isinstance(look, Look):
                    _draw_band(ax, line, look)
            for score in of_panel.loc[of_panel["system"] == full, "score"]:
                ax.axhline(score, color="0.4", linewidth=0.6, zorder=2)
            shown = ["score", "low", "high"] if bands else ["score"]
            fastest = 1.5 * max(of_all["target_speedup"].max(), here["speedup"].min())
            _set_axes(ax, here, fastest, shown)
            _draw_chance(ax, of_panel["majority"].iloc[0])
            metric = METRICS[of_panel["metric"].iloc[0]]
            ax.set_ylabel(f"{metric[0].upper()}{metric[1:]} (%)")
            ax.set_title("{} ({})".format(*place), loc="left")
            if not bands:
                _draw_interval_bar(ax, select_place(points, place))
        add_common_legend(figure, axes[0], list(labels.values()))
    return figure


def _draw_chance(ax: Axes, majority: float) -> None:
    """A dotted line at the score of the most frequent class, and its number above the axes."""
    if ax.get_ylim()[0] <= majority:
        ax.axhline(majority, color="0.4", linewidth=0.6, linestyle=":", zorder=2)
    ax.set_title(f"majority class {majority:.1f}", loc="right", color="0.4", fontsize=7)


def _draw_system(ax: Axes, line: pd.DataFrame, look, **common) -> None:
    """A curve, whose look is a `Look`, or a lone marker."""
    if isinstance(look, str):
        lone = {"linestyle": "none", "markersize": 5.5, "markerfacecolor": "white"}
        ax.plot(line["speedup"], line["score"], color="0.3", marker=look, **lone, **common)
        return
    ax.plot(
        line["speedup"],
        line["score"],
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        # On a dense curve markers at distances of the page, apart from other curves' markers.
        markevery=(look.offset, 0.14) if len(line) > 12 else None,
        **common,
    )


def _draw_band(ax: Axes, line: pd.DataFrame, look: Look) -> None:
    """Filled lightly, with edges in the curve's line style, because bands overlap."""
    ends = line["speedup"], line["low"], line["high"]
    ax.fill_between(*ends, color=look.color, alpha=0.1, linewidth=0, zorder=1)
    for edge in ends[1:]:
        ax.plot(line["speedup"], edge, color=look.color, linestyle=look.line, linewidth=0.5)


def _set_axes(ax: Axes, curves: pd.DataFrame, fastest: float, shown: list[str]) -> None:
    """Logarithmic in speed-up, and cut at a speed-up beyond all targets.

    shown: the columns that have to be in view
    """
    inside = curves[curves["speedup"] <= fastest]
    ax.set_xscale("log")
    ax.set_xlim(min(1.0, inside["speedup"].min()) / 1.08, fastest)
    ax.xaxis.set_major_locator(FixedLocator([1, 2, 3, 4, 6, 8, 12, 16]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    ax.set_xlabel("Speed-up")
    low, high = inside[shown].min(axis=None), inside[shown].max(axis=None)
    room = max(high - low, 1.0)
    ax.set_ylim(low - 0.06 * room, high + 0.08 * room)
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.grid(True)


def _draw_interval_bar(ax: Axes, points: pd.DataFrame) -> None:
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
    # A bar that is longer than the axes is cut at their end.
    height = min(middle, (bottom + top) / 2)
    ax.text(0.08, height, "95% interval\n(median)", transform=of_axes, va="center", color="0.3")
