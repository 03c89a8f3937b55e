import subprocess
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from scipy.stats import binomtest

from cascadebert.data.predictions import Predictions
from cascadebert.evaluation import metrics
from cascadebert.evaluation.layerwise import FEWEST
from cascadebert.reporting import drawing
from cascadebert.reporting.drawing import CURVES, PAIR, save_figure
from cascadebert.reporting.figures.confidence import figure_confidence, figure_reliability
from cascadebert.reporting.figures.layers import figure2_layers, figure3_dis
from cascadebert.reporting.figures.representations import Panel, figure4_representations
from cascadebert.reporting.figures.tradeoff import figure_tradeoff
from tests.simulation import ABLATIONS, TITLES, frames, predictions

pytestmark = pytest.mark.slow

SYSTEMS = [*ABLATIONS, *ABLATIONS.values()]


def first_exits(*tasks: str) -> dict:
    return {
        task: {s: [predictions(task, s, "test", r) for r in range(3)] for s in SYSTEMS}
        for task in tasks
    }


def tradeoff(*tasks: str):
    f = frames(tasks)
    return figure_tradeoff(f["curves"], f["points"], f["probes"], TITLES, "cascadebert", "bert-12l")


def extended(*tasks: str):
    f = frames(tasks)
    titles = {key: TITLES[key] for key in ("cascadebert", "deebert")}
    return figure_tradeoff(
        f["curves"], f["points"], f["probes"], titles, "cascadebert", "bert-12l", bands=True
    )


def long_titles(*tasks: str):
    f = frames(tasks)
    titles = {key: f"{title} (distilled)" for key, title in TITLES.items()}
    return figure_tradeoff(f["curves"], f["points"], f["probes"], titles, "cascadebert", "bert-12l")


def by_layers(*tasks: str) -> pd.DataFrame:
    """Ramps after 12 layers, one of which emits little, and whole models of 2, 6 and 12."""
    rows = []
    for task in tasks:
        for series, depths in {"DeeBERT": range(1, 13), "BERT-Complete": (2, 6, 12)}.items():
            for layers in depths:
                n = FEWEST - 0.5 if layers == 3 else 1200 / layers
                row = {"task": task, "split": "test", "series": series, "system": series}
                score = 60 + 2 * layers + (series != "DeeBERT")
                row |= {"layers": layers, "accuracy": score, "dis": score, "n": n}
                rows.append(row | {"low": score - 2, "high": score + 3})
    return pd.DataFrame(rows)


def states(*tasks: str) -> list[list[Panel]]:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=300)
    names = ["negative", "positive"]
    return [
        [
            Panel(f"{task}: {title}", rng.normal(size=(300, 2)), labels, names, 81.23, score)
            for title, score in (("DeeBERT", 0.0123), ("CascadeBERT", float("nan")))
        ]
        for task in tasks
    ]


FIGURES = {
    "tradeoff": tradeoff,
    "extended": extended,
    "long titles": long_titles,
    "layers": lambda *tasks: figure2_layers(by_layers(*tasks)),
    "dis": lambda *tasks: figure3_dis(by_layers(*tasks)),
    "representations": lambda *tasks: figure4_representations(states(*tasks)),
    "reliability": lambda *tasks: figure_reliability(first_exits(*tasks), TITLES),
    "confidence": lambda *tasks: figure_confidence(first_exits(*tasks), TITLES),
}


# The other two are trade-offs, too.
@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"extended", "long titles"}))
def test_same_bytes_whatever_the_users_style(name, tmp_path):
    save_figure(FIGURES[name]("movies"), tmp_path / "a")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 50}):
        save_figure(FIGURES[name]("movies"), tmp_path / "b")
    for suffix in ("pdf", "png"):
        made = (tmp_path / f"a.{suffix}").read_bytes()
        assert made == (tmp_path / f"b.{suffix}").read_bytes()
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("tasks", [("movies",), ("movies", "rte"), ("movies", "rte", "qqp", "x")])
def test_figures_fit_the_page_and_can_be_read(name, tasks):
    figure = FIGURES[name](*tasks)
    width, height = figure.get_size_inches()
    assert width == (drawing.COLUMN if len(tasks) == 1 else drawing.PAGE)
    assert height < 9
    with drawing.styled():
        figure.draw_without_rendering()
        sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
        box = figure.get_tightbbox()
    assert min(sizes) >= 7
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01


@pytest.mark.parametrize("draw", [figure_reliability, figure_confidence])
@pytest.mark.parametrize("panels", [1, 2, 3])
def test_long_titles_leave_the_panels_their_width(draw, panels):
    [of_systems] = first_exits("movies").values()
    names = [f"movies (test), CascadeBERT 3-12 ({n} epochs)" for n in range(panels)]
    titles = {key: f"{title} (10 epochs)" for key, title in TITLES.items()}
    figure = draw(dict.fromkeys(names, of_systems), titles)
    with drawing.styled():
        figure.draw_without_rendering()
    for ax in figure.axes:
        space = figure.bbox.width / panels
        assert ax.get_window_extent().width > 0.7 * space
        assert ax.title.get_window_extent().width < space
        for text in [*ax.texts, *(ax.get_legend().get_texts() if ax.get_legend() else [])]:
            assert text.get_window_extent().x1 < ax.get_window_extent().x1 + 0.05 * space


def test_a_title_is_no_formula(tmp_path):
    titles = TITLES | {"cascadebert": r"for $5 and x^^$ \foo % a_b"}
    f = frames(("movies",))
    save_figure(
        figure_tradeoff(f["curves"], f["points"], f["probes"], titles, "cascadebert", "bert-12l"),
        tmp_path / "a",
    )
    save_figure(figure_reliability(first_exits("movies"), titles), tmp_path / "b")


def test_no_pyplot():
    code = (
        "import sys; from cascadebert.reporting.figures import confidence, layers, "
        "representations, tradeoff; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def luminance(color) -> float:
    return np.dot(to_rgb(color), [0.299, 0.587, 0.114])


def test_series_differ_without_colour():
    assert len({look.marker for look in CURVES}) == len(CURVES)
    assert len({str(look.line) for look in CURVES}) == len(CURVES)
    assert abs(luminance(PAIR[0].color) - luminance(PAIR[1].color)) > 0.3
    assert abs(luminance(PAIR[0].fill) - luminance(PAIR[1].fill)) > 0.3


def test_tradeoff_draws_every_systems_curve_as_it_is():
    curves = frames()["curves"]
    figure = tradeoff("movies")
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.lines}
    for system, title in TITLES.items():
        expected = curves[curves["system"] == system].sort_values("speedup")
        np.testing.assert_array_equal(lines[title].get_xdata(), expected["speedup"])
        np.testing.assert_array_equal(lines[title].get_ydata(), expected["score"])
    (legend,) = figure.legends
    assert {entry.get_text() for entry in legend.get_texts()} == set(TITLES.values())
    top = max(lines[TITLES[s]].get_zorder() for s in ("deebert", "pabee"))
    assert lines["CascadeBERT"].get_zorder() > top
    full = curves.loc[curves["system"] == "bert-12l", "score"].item()
    assert any(list(line.get_ydata()) == [full, full] for line in ax.lines)


def test_tradeoff_keeps_all_points_up_to_the_fastest_target_in_view():
    f = frames()
    (ax,) = tradeoff("movies").axes
    seen = f["points"].dropna(subset="score")
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert seen["speedup"].between(left, right).all()
    assert seen["score"].between(bottom, top).all()


def test_a_system_far_from_every_target_is_drawn_alone():
    f, titles = frames(), {"bert-3l": "BERT-3L"}
    points = f["points"][f["points"]["target_speedup"] == 2]  # and its speed-up is 4x
    [ax] = figure_tradeoff(f["curves"], points, f["probes"], titles, "cascadebert", "bert-12l").axes
    assert ax.get_xlim()[0] < 4 < ax.get_xlim()[1]


def test_bands_are_the_intervals_and_in_view():
    curves = frames()["curves"]
    (ax,) = extended("movies").axes
    _, top = ax.get_ylim()
    for system in ("cascadebert", "deebert"):
        expected = curves[curves["system"] == system].sort_values("speedup")
        drawn = [list(line.get_ydata()) for line in ax.lines]
        assert list(expected["low"]) in drawn
        assert list(expected["high"]) in drawn
        assert expected["high"].max() <= top
    assert TITLES["pabee"] not in {line.get_label() for line in ax.lines}


def test_the_tradeoff_shows_what_it_is_asked_to_and_the_full_models_score():
    f = frames()
    asked = {"deebert": "DeeBERT"}
    (ax,) = figure_tradeoff(
        f["curves"], f["points"], f["probes"], asked, "cascadebert", "bert-12l"
    ).axes
    full = f["points"].loc[f["points"]["system"] == "bert-12l", "score"].item()
    assert any(list(line.get_ydata()) == [full, full] for line in ax.lines)
    labels = {line.get_label() for line in ax.lines}
    assert labels & set(TITLES.values()) == {"DeeBERT"}


def test_layers_shows_each_series_where_enough_is_emitted():
    table = by_layers("movies")
    top, bottom = figure2_layers(table).axes
    of_series = [part for _, part in table.groupby("series", sort=False)]
    for container, series in zip(top.containers, of_series, strict=True):
        drawn = series[series["n"] >= FEWEST]
        line, _, (bars,) = container.lines
        np.testing.assert_array_equal(line.get_ydata(), drawn["accuracy"])
        # Side by side, each nearest to its own number of layers.
        np.testing.assert_array_equal(np.round(line.get_xdata().astype(float)), drawn["layers"])
        ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
        assert ends == drawn[["low", "high"]].to_numpy().tolist()
    ramps = table[table["series"] == "DeeBERT"]
    assert [bar.get_height() for bar in bottom.patches] == ramps["n"].tolist()
    texts = [text.get_text() for text in bottom.texts]
    assert texts == [f"{n:,.0f}" for n in ramps["n"]]


def test_the_heat_map_writes_every_number_in_its_cell_and_hatches_the_rest():
    table = by_layers("movies")
    table.loc[0, "dis"] = np.nan
    (ax,) = figure3_dis(table).axes
    column = {"DeeBERT": 0, "BERT-Complete": 1}
    texts = {tuple(np.subtract(t.get_position(), 0.5)): t.get_text() for t in ax.texts}
    expected = {
        (column[row.series], row.layers - 1): f"{row.dis:.1f}" for row in table.itertuples()
    }
    expected[0, 0] = "–"
    assert texts == expected
    cells = {tuple(map(int, patch.get_xy())): patch for patch in ax.patches}
    assert len(cells) == 24
    assert {at for at, patch in cells.items() if patch.get_hatch()} == set(cells) - set(expected)
    values = table.dropna(subset="dis").sort_values("dis")
    shades = [
        luminance(cells[column[row.series], row.layers - 1].get_facecolor()[:3])
        for row in values.itertuples()
    ]
    assert all(np.diff(shades) < 0)  # darker is higher, in grey too
    for text in ax.texts:
        cell = cells[tuple(np.subtract(text.get_position(), 0.5))]
        contrast = luminance(text.get_color()) - luminance(cell.get_facecolor()[:3])
        assert abs(contrast) > 0.4


def test_representations_marks_labels_and_says_both_numbers():
    (panels,) = states("movies")
    axes = figure4_representations([panels]).axes
    for ax, panel in zip(axes, panels, strict=True):
        for label, drawn in enumerate(ax.collections):
            np.testing.assert_array_equal(drawn.get_offsets(), panel.points[panel.labels == label])
    assert axes[0].get_xlabel() == "accuracy 81.2%\nsilhouette 0.012"
    assert axes[1].get_xlabel() == "accuracy 81.2%\nsilhouette –"


def test_representations_mark_a_label_alike_on_all_tasks():
    """One legend stands for tasks that may list the same labels in another order."""
    one, other = states("movies", "amazon")
    other = [replace(panel, names=panel.names[::-1]) for panel in other]
    axes = figure4_representations([one, other]).axes
    seen = {}
    for ax in axes:
        for drawn in ax.collections:
            look = (drawn.get_paths()[0].vertices.tolist(), drawn.get_edgecolor().tolist())
            assert seen.setdefault(drawn.get_label(), look) == look
    assert len(seen) == 2


def test_reliability_shows_the_bins_of_the_ece():
    panels = first_exits("movies")
    top, bottom, _ = figure_reliability(panels, TITLES).axes
    for rank, system in enumerate(SYSTEMS):
        replicates = panels["movies"][system]
        confidence = np.concatenate([p.confidence[:, 0] for p in replicates])
        correct = np.concatenate([p.predicted[:, 0] == p.labels for p in replicates])
        bins = [(confidence > k / 10) & (confidence <= (k + 1) / 10) for k in range(10)]
        expected = [100 * correct[inside].mean() for inside in bins if inside.any()]
        container = top.containers[rank]
        np.testing.assert_allclose(container.lines[0].get_ydata().astype(float), expected)
        shares = [bar.get_height() for bar in bottom.containers[rank]]
        np.testing.assert_allclose(shares, [100 * inside.mean() for inside in bins])
        errors = [
            metrics.expected_calibration_error(p.confidence[:, 0], p.predicted[:, 0] == p.labels)
            for p in replicates
        ]
        assert container.get_label().endswith(f"ECE {100 * np.mean(errors):.1f}")


def test_reliability_has_wilson_intervals():
    one = predictions("movies", "cascadebert", "test")
    top, *_ = figure_reliability({"movies": {"cascadebert": [one]}}, TITLES).axes
    confidence, correct = one.confidence[:, 0], one.predicted[:, 0] == one.labels
    segments = top.containers[0].lines[2][0].get_segments()
    bins = [(confidence > k / 10) & (confidence <= (k + 1) / 10) for k in range(5, 10)]
    for segment, inside in zip(segments, bins, strict=True):
        exact = binomtest(int(correct[inside].sum()), int(inside.sum())).proportion_ci(
            method="wilson"
        )
        np.testing.assert_allclose(segment[:, 1], [100 * exact.low, 100 * exact.high], rtol=1e-3)


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_the_legend_of_reliability_covers_nothing(panels):
    titles = {key: f"{title} (after 10 epochs)" for key, title in TITLES.items()}
    figure = figure_reliability(first_exits(*"abc"[:panels]), titles)
    with drawing.styled():
        figure.draw_without_rendering()
    plots = [ax.get_tightbbox() for ax in figure.axes if ax.axison]
    legends = [ax.get_legend().get_window_extent() for ax in figure.axes if not ax.axison]
    assert len(legends) == panels
    for rank, legend in enumerate(legends):
        for other in [*plots, *legends[:rank]]:
            assert not legend.overlaps(other)


def certain(labels: np.ndarray) -> Predictions:
    """Right about everything with confidence 1."""
    logits = np.full((len(labels), 1, 2), -500, dtype=np.float32)
    logits[np.arange(len(labels)), 0, labels] = 500
    ids = np.arange(len(labels)).astype(str)
    return Predictions(logits, np.array([2.0]), ids, labels)


def test_nothing_wrong_and_full_confidence_can_be_drawn(tmp_path):
    panels = {"easy": {"cascadebert": [certain(np.array([0, 1, 1]))]}}
    figure = figure_confidence(panels, TITLES)
    share = figure.axes[0].patches[0].get_data().values
    assert share.sum() == pytest.approx(100)
    assert share[-1] == pytest.approx(100)
    save_figure(figure, tmp_path / "confidence")
    save_figure(figure_reliability(panels, TITLES), tmp_path / "reliability")


def test_confidence_of_three_labels_starts_at_a_third():
    panels = {
        "mnli": {
            s: [predictions("mnli", s, "test", r, labels=3) for r in range(2)] for s in SYSTEMS
        }
    }
    for ax in figure_confidence(panels, TITLES).axes:
        assert ax.get_xlim()[0] == pytest.approx(32.5)
        for patch in ax.patches:
            assert patch.get_data().values.sum() == pytest.approx(100)


def test_an_undertrained_systems_curve_is_pale_where_it_is_and_called_so():
    f = frames(("movies", "qnli"))
    probes = f["probes"]
    weak = probes["system"].isin(["pabee", "bert-3l"]) & (probes["task"] == "qnli")
    probes = probes.assign(undertrained=weak & (probes["exit"] == 1))
    points = f["points"][f["points"]["system"] != "bert-3l"]  # it is near no target
    figure = figure_tradeoff(f["curves"], points, probes, TITLES, "cascadebert", "bert-12l")
    pale = {
        ax.get_title(loc="left"): {
            line.get_label() for line in ax.lines if line.get_alpha() is not None
        }
        for ax in figure.axes
    }
    marked = {"PABEE (undertrained)", "BERT-3L (undertrained)"}
    assert pale == {"movies (test)": set(), "qnli (test)": marked}
    [legend] = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert marked <= set(labels)
    assert "DeeBERT" in labels


def test_the_dis_of_a_figure_is_a_mean_over_the_replicates_that_have_one():
    known = predictions("movies", "cascadebert", "test", n=30)
    none_wrong = replace(known, labels=known.predicted[:, 0])
    for replicates, said in (
        ([known, none_wrong], f"DIS {100 * find_dis(known):.1f}"),
        ([none_wrong], "DIS undefined"),
    ):
        figure = figure_confidence({"t": {"cascadebert": replicates}}, TITLES)
        [text] = [text.get_text() for text in figure.axes[0].texts]
        assert text.endswith(f"\n{said}")


def find_dis(of: Predictions) -> float:
    return metrics.difficulty_inversion_score(of.confidence[:, 0], of.predicted[:, 0] == of.labels)
