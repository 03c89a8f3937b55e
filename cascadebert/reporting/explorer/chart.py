"""The chart of the explorer: score against speed-up, drawn by Vega-Lite in the browser."""

from collections.abc import Sequence
from typing import Any

from cascadebert.reporting.drawing import CURVES

SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross"]
SHAPES += ["triangle-left", "triangle-right"]
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])
GREY = "#666666"


def draw_chart(
    movable: Sequence[str], single: Sequence[str], speedups: Sequence[float]
) -> dict[str, Any]:
    """The specification in Vega-Lite.

    movable:  titles of the systems with a curve, from the one with the clearest colour on
    single:   titles of the systems of one speed-up, which are grey
    speedups: the ends of the axis

    It has two named data sets, which the page fills: `points`, all points of a task and split, and
    `chosen`, those nearest to the chosen speed-up; and the parameter `speedup`, which is that.
    """
    import altair as alt  # takes half a second
    from matplotlib.colors import to_hex  # "0.45" is a grey in matplotlib alone

    speedup = alt.param(name="speedup", value=float(speedups[0]))
    picked = alt.selection_point(fields=["title"], bind="legend", name="picked")
    titles = [*movable, *single]
    colours = [to_hex(CURVES[rank % len(CURVES)].color) for rank in range(len(movable))]
    colours += [GREY] * len(single)
    shapes = [SHAPES[rank % len(SHAPES)] for rank in range(len(movable))]
    shapes += [SHAPES[rank % len(SHAPES)] for rank in range(len(single))]
    dashes = [DASHES[rank % len(DASHES)] for rank in range(len(titles))]
    by_title = {"title": None, "sort": titles}
    x = alt.X(
        "speedup:Q",
        title="speed-up on this split",
        scale=alt.Scale(type="log", domain=list(speedups), nice=False),
        axis=alt.Axis(values=[0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16], labelExpr="datum.label + '×'"),
    )
    y_scale = alt.Scale(zero=False, padding=12)
    y = alt.Y("score:Q", title="score (%)", scale=y_scale)
    colour = alt.Color(
        "title:N",
        scale=alt.Scale(domain=titles, range=colours),
        legend=alt.Legend(orient="bottom", labelLimit=220),
        **by_title,
    )
    shape = alt.Shape("title:N", scale=alt.Scale(domain=titles, range=shapes), **by_title)
    dash = alt.StrokeDash(
        "title:N", scale=alt.Scale(domain=titles, range=dashes), legend=None, **by_title
    )
    tooltip = [
        alt.Tooltip("title:N", title="system"),
        alt.Tooltip("told_speedup:N", title="speed-up"),
        alt.Tooltip("told_score:N", title="score (%)"),
        alt.Tooltip("told_interval:N", title="95% interval"),
        alt.Tooltip("knob:N", title="threshold"),
        alt.Tooltip("exits:N", title="leave after"),
        alt.Tooltip("time:N", title="ms a text"),
    ]
    bright = alt.when(picked).then(alt.value(1.0)).otherwise(alt.value(0.12))
    points, chosen = alt.Chart(alt.NamedData("points")), alt.Chart(alt.NamedData("chosen"))
    lines = points.mark_line(strokeWidth=1.6, clip=True).encode(x, y, colour, dash, opacity=bright)
    dots = (
        points.mark_point(size=40, filled=True, clip=True)
        .encode(x, y, colour, shape, tooltip=tooltip, opacity=bright)
        .add_params(picked)
    )
    bars = chosen.mark_rule(strokeWidth=2, clip=True).encode(
        x,
        alt.Y("low:Q", title="score (%)", scale=y_scale),
        alt.Y2("high:Q"),
        colour,
        opacity=bright,
    )
    marks = chosen.mark_point(size=170, strokeWidth=2.5, clip=True).encode(
        x, y, colour, shape, tooltip=tooltip, opacity=bright
    )
    rule = (
        alt.Chart(alt.InlineData([{}]))
        .mark_rule(strokeDash=[4, 3], color="#555")
        .encode(alt.XDatum(alt.expr("speedup"), type="quantitative"))
        .add_params(speedup)
    )
    layered = alt.layer(lines, bars, dots, marks, rule).properties(
        width="container",
        height=380,
        description="Score against speed-up of every system; the table below has the numbers",
    )
    return layered.configure_axis(labelFontSize=12, titleFontSize=12).to_dict()


def bundle_library() -> str:
    """The script of Vega, Vega-Lite and Vega-Embed, which sets `window.vegaEmbed`."""
    from vl_convert import javascript_bundle

    return javascript_bundle("window.vegaEmbed = vegaEmbed;")
