import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.evaluation.measures import LEFT_WRONG
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.evaluation.temperature import UNSCALED_ECE, add_unscaled_ece
from cascadebert.experiment.published import add_published_numbers, read_published_sizes
from cascadebert.reporting import grid, tables
from cascadebert.reporting.data_table import table1_data
from cascadebert.reporting.exit_tables import (
    CALIBRATION,
    LOWER,
    NONE_LEFT,
    table5_calibration,
    table_probes,
)
from cascadebert.reporting.typeset import (
    Cell,
    Display,
    Table,
    to_html,
    to_latex,
    to_markdown,
    to_rst,
    write_table,
)
from cascadebert.reporting.wording import format_signed
from cascadebert.systems.method import Candidate
from tests import simulation
from tests.simulation import ABLATIONS, COSTS, TARGETS, TITLES, task_description
from workflow_scripts.frames import read_frame

NAMES = {"systems": {}, "tasks": {}}  # nothing is the paper's
PAPERS = {  # MRPC, with the paper's systems
    "systems": {
        "bert-12l": "bert-base",
        "bert-6l": "bert-6l",
        "bert-4l": "bert-4l",
        "deebert": "deebert",
        "pabee": "pabee",
        "cascadebert": "cascadebert",
        "cascadebert-without-dar": "cascadebert-without-dar",
    },
    "tasks": {"mrpc": {"test": "mrpc"}, "qnli": {"test": "qnli"}},
}

CANDIDATES = {key: [Candidate(label="", runs=())] for key in TITLES}
CANDIDATES["cascadebert"] = [Candidate(label=margin, runs=()) for margin in ("0.3", "0.5")]
CHOSEN = {
    (task, key): of[0].name
    for task in ("movies", "rte", "mrpc", "mnli")
    for key, of in CANDIDATES.items()
}

ODD = r"a_b & 50% #1 {x} \y ~z ^w $5 |p| *s* `c` <i> [q]"


def frames(tasks=("movies",), split="test", names=NAMES, number=2) -> dict[str, pd.DataFrame]:
    """The simulation's, with the numbers of a table of the paper beside them."""
    made = simulation.frames(tuple(tasks), split)
    return {
        **made,
        **{name: add_published_numbers(made[name], number, names) for name in ("points", "exits")},
    }


UNLABELLED = {
    "labelled": False,
    "source": "server",
    "classes": {"negative": 0, "positive": 0},
    "shared": {},
    "contradictory": 0,
}


def cells_without_reason(display: Display) -> list[Cell]:
    """What is empty, or a dash without a footnote; labels may stand for the rows below them."""
    return [
        cell
        for row in display.rows
        for cell in row[display.labels :]
        if not cell.text or (cell.text.split("\n")[0] == grid.NOTHING and not cell.mark)
    ]


def points_of(rows: list[dict], **common) -> pd.DataFrame:
    base = {"task": "t", "split": "test", "metric": "accuracy", "target_speedup": 2.0}
    base |= {"speedup": 2.0, "low": 70.0, "high": 90.0, "n": 10, "replicates": 1}
    base |= {"candidate": "", "knob": 0.5, "note": "", "undertrained": False}
    base |= {"majority": 51.25}
    base |= {"paper_score": np.nan, "paper_speedup": np.nan} | common
    return pd.DataFrame([base | row for row in rows])


def test_table2_has_every_operating_point_and_the_columns_others_rely_on():
    points = frames()["points"]
    table, _ = tables.table2_main(points, TITLES)
    required = "task system split target_speedup speedup metric score low high n"
    assert set(required.split()) <= set(table.columns)
    keys = ["task", "split", "target_speedup", "system"]
    pd.testing.assert_frame_equal(
        table.sort_values(keys)[[*keys, "score", "n"]].reset_index(drop=True),
        points.sort_values(keys)[[*keys, "score", "n"]].reset_index(drop=True),
    )


def test_table2_is_laid_out_in_blocks_by_target_in_the_order_of_the_titles():
    _, display = tables.table2_main(frames()["points"], TITLES)
    assert [block[0][0].text for block in display.blocks] == ["1×", "2×", "3×", "4×", "any"]
    names = [row[1].text for row in display.blocks[2]]
    assert names == ["BERT-4L", "DeeBERT", "PABEE", "CascadeBERT", "CascadeBERT w/o DAR"]
    assert len(set(map(len, [display.header, *display.rows]))) == 1


def test_bold_is_the_best_score_as_printed_and_ties_share_it():
    rows = [
        {"system": "a", "score": 80.04, "speedup": 2.06, "low": 71.0},
        {"system": "b", "score": 80.01},
        {"system": "c", "score": 79.0},
        {"system": "full", "score": 99.0, "target_speedup": 1.0},
    ]
    titles = {key: key.upper() for key in ("full", "a", "b", "c")}
    _, display = tables.table2_main(points_of(rows), titles)
    bold = {row[1].text: row[2].bold for row in display.rows}
    assert bold == {"A": True, "B": True, "C": False, "FULL": False, "Majority class": False}
    [of_a] = [row for row in display.rows if row[1].text == "A"]
    assert [cell.text for cell in of_a[2:]] == ["80.0", "[71.0, 90.0]", "2.06×"]


def test_unreachable_targets_get_a_dash_and_their_reason():
    rows = [
        {"system": "a", "score": 80.0},
        {"system": "b", "score": np.nan, "speedup": np.nan, "note": "not reachable: 2.38x"},
    ]
    table, display = tables.table2_main(points_of(rows), {"a": "A", "b": "B"})
    dash = display.rows[1][2]
    assert dash.text == grid.NOTHING
    assert {v: k for k, v in display.notes.items()}[dash.mark].endswith("not reachable: 2.38×")
    assert "2.38×" in to_markdown(display)
    assert table["score"].isna().sum() == 1


def test_several_tasks_get_columns_and_an_average_only_where_it_is_complete():
    points = frames(("movies", "rte"))["points"].copy()
    missing = (points["task"] == "rte") & (points["system"] == "deebert")
    points.loc[missing & (points["target_speedup"] == 2), ["score", "note"]] = [np.nan, "why"]
    # The best on the other task, but it has no average.
    points.loc[(points["task"] == "movies") & (points["system"] == "deebert"), "score"] = 99.0
    points.loc[points["task"] == "rte", "majority"] = 40.0
    _, display = tables.table2_main(points, TITLES)
    assert [c.text for c in display.header[-1:]] == ["Average"]
    *blocks, [chance] = display.blocks
    assert [cell.text for cell in chance[1:]] == ["Majority class", "51.2", "40.0", "45.6"]
    for block in blocks:
        assert any(row[-1].bold for row in block) == (len(block) > 1)
        target = float(block[0][0].text[:-1])
        for row in block:
            system = next(key for key, title in TITLES.items() if title == row[1].text)
            scores = points[(points["system"] == system) & (points["target_speedup"] == target)]
            mean = scores["score"].mean(skipna=False)
            assert row[-1].text == (grid.NOTHING if np.isnan(mean) else f"{mean:.1f}")
            assert bool(row[-1].mark) == np.isnan(mean)


def without(system: str, task: str = "movies", tasks: tuple = ("movies",)) -> dict:
    """The frames of an experiment in which a system was not run on a task."""
    made = {
        name: frame[~((frame["system"] == system) & (frame["task"] == task))]
        for name, frame in frames(tasks).items()
    }
    for name in ("differences", "exit_differences"):
        gone = (made[name]["against"] == system) & (made[name]["task"] == task)
        made[name] = made[name][~gone]
    here = made["points"][made["points"]["task"] == task]
    targets = TARGETS if len(COSTS[system]) > 1 else [np.nan]
    row = here.iloc[0][["task", "split", "metric", "n", "replicates"]]
    rows = [{**row, "system": system, "target_speedup": t, "note": NOT_RUN} for t in targets]
    rows = [{**row, "undertrained": False} for row in rows]
    made["points"] = pd.concat([made["points"], pd.DataFrame(rows)], ignore_index=True)
    return made


def notes_of(display, system: str) -> set[str]:
    """The footnotes of a system's cells that have no number."""
    notes = {mark: note for note, mark in display.notes.items()}
    rows = [row for row in display.rows if row[1].text == TITLES[system]]
    return {notes[cell.mark] for row in rows for cell in row[2:] if cell.text == grid.NOTHING}


def test_a_system_that_was_not_run_says_so_in_its_cells():
    table, display = tables.table2_main(without("pabee")["points"], TITLES)
    assert notes_of(display, "pabee") == {
        f"PABEE at {target}× on movies (test): not run" for target in (2, 3, 4)
    }
    assert "Not run" not in display.caption
    assert set(table["note"][table["system"] == "pabee"]) == {NOT_RUN}


def test_a_system_of_one_speed_that_was_not_run_is_named_or_has_its_place_from_other_tasks():
    _, alone = tables.table2_main(without("bert-4l")["points"], TITLES)
    assert "Not run: BERT-4L." in alone.caption
    assert "Not near" not in alone.caption
    _, display = tables.table2_main(without("bert-4l", "rte", ("movies", "rte"))["points"], TITLES)
    assert "Not run" not in display.caption
    assert "BERT-4L at 3× on rte (test): not run" in notes_of(display, "bert-4l")
    [row] = [row for row in display.rows if row[1].text == "BERT-4L"]
    assert row[2].text != row[3].text == row[-1].text == grid.NOTHING


def test_a_contest_says_who_was_not_run():
    rows = {key: TITLES[key] for key in ("bert-12l", "bert-4l", "pabee", "cascadebert")}
    _, display = tables.table3_distillation(without("bert-4l")["points"], rows)
    assert "Not run: BERT-4L." in display.caption
    pair = {key: TITLES[key] for key in ("pabee", "cascadebert")}
    _, empty = tables.table7_fastbert(without("pabee")["points"], pair)
    assert empty.caption == f"{tables.NO_CONTEST} Not run: PABEE."
    four = {key: TITLES[key] for key in ("bert-4l", "pabee", "cascadebert")}
    _, display = tables.table3_distillation(without("pabee")["points"], four)
    assert [block[0][0].text for block in display.blocks] == ["3×"]
    assert notes_of(display, "pabee") == {"PABEE at 3× on movies (test): not run"}


def test_tables_4_and_5_say_which_of_a_pair_was_not_run():
    plain = "cascadebert-without-dar"
    f = without(plain)
    _, display = tables.table4_dar(f["points"], f["differences"], TITLES, ABLATIONS)
    assert all(note.endswith("on movies (test): not run") for note in notes_of(display, plain))
    assert notes_of(display, plain)
    f = without(plain, "rte", ("movies", "rte"))
    _, display = table5_calibration(f["exits"], f["exit_differences"], TITLES, ABLATIONS)
    assert len(display.blocks) == 2
    [[place, _, *cells]] = display.blocks[1]
    assert place.text == "rte (test)"
    notes = {mark: note for note, mark in display.notes.items()}
    assert {notes[cell.mark] for cell in cells} == {"CascadeBERT w/o DAR on rte: not run"}


def test_scores_on_the_development_split_say_so():
    _, display = tables.table2_main(frames(split="dev")["points"], TITLES)
    assert display.header[2].text == "movies\ndev accuracy"
    assert {v: k for k, v in display.notes.items()}[display.header[2].mark].startswith("thresholds")
    _, on_test = tables.table2_main(frames()["points"], TITLES)
    assert not on_test.header[2].mark


@pytest.mark.parametrize("tasks", [("movies",), ("movies", "rte")])
def test_frames_read_back_from_csv_give_the_same_tables(tasks, tmp_path):
    made = frames(tasks)
    read = {}
    for name, frame in made.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        # Rows of several files may come with the same index.
        read[name] = read_frame(tmp_path / f"{name}.csv").set_axis([0] * len(frame))
    described = [task_description(task) for task in tasks]

    def all_tables(f):
        return [
            table1_data(described, f["points"], TITLES, ABLATIONS, {}, CANDIDATES, CHOSEN),
            tables.table2_main(f["points"], TITLES),
            tables.table4_dar(f["points"], f["differences"], TITLES, ABLATIONS),
            table5_calibration(f["exits"], f["exit_differences"], TITLES, ABLATIONS),
        ]

    for number, ((_, a), (_, b)) in enumerate(zip(all_tables(made), all_tables(read), strict=True)):
        assert a == b, number


def test_names_that_read_as_nothing_are_read_back(tmp_path):
    """A task, a system or a label may be called so."""
    names = ["NA", "None", "nan", "N/A", "null", "", "1e5", "007"]
    frame = pd.DataFrame({"task": names, "label": names[::-1], "score": [np.nan, 1.5] * 4})
    frame.to_csv(tmp_path / "frame.csv", index=False)
    pd.testing.assert_frame_equal(read_frame(tmp_path / "frame.csv"), frame)


def test_table4_shows_the_gain_beside_the_pair():
    f = frames()
    table, display = tables.table4_dar(f["points"], f["differences"], TITLES, ABLATIONS)
    assert [row[1].text for row in display.blocks[0]] == [
        "CascadeBERT",
        "CascadeBERT w/o DAR",
        "gain by DAR",
    ]
    for target, rows in table.groupby("target_speedup"):
        of = rows.set_index("system")
        gain = of.loc["cascadebert", "score"] - of.loc["cascadebert-without-dar", "score"]
        assert of.loc["cascadebert", "difference"] == pytest.approx(gain), target
    assert len(table) == 6
    f = frames(("movies", "rte"))
    _, display = tables.table4_dar(f["points"], f["differences"], TITLES, ABLATIONS)
    differences = f["differences"]
    of_pair = differences[differences["against"] == "cascadebert-without-dar"]
    for block, target in zip(display.blocks, TARGETS, strict=True):
        at = of_pair[of_pair["target_speedup"] == target].set_index("task")
        *gains, average = [cell.text for cell in block[2][2:]]
        for task, text in zip(("movies", "rte"), gains, strict=True):
            interval = ", ".join(format_signed(at.loc[task, end]) for end in ("low", "high"))
            assert text == f"{format_signed(at.loc[task, 'difference'])}\n[{interval}]"
        assert average == format_signed(at["difference"].mean())


def test_table4_without_a_comparison_gives_the_reason():
    f = frames()
    _, display = tables.table4_dar(f["points"], f["differences"].iloc[:0], TITLES, ABLATIONS)
    gain = display.blocks[0][2][2]
    assert gain.text == grid.NOTHING
    assert gain.mark in display.notes.values()


@pytest.mark.parametrize("scaled", [False, True])
def test_table5_marks_the_better_of_the_two_and_less_ece_is_better(scaled):
    f = frames()
    exits, differences = f["exits"], f["exit_differences"]
    measures = [name for name in CALIBRATION if scaled or name != UNSCALED_ECE]
    if scaled:
        exits, differences = (add_unscaled_ece(each, each) for each in (exits, differences))
    table, display = table5_calibration(exits, differences, TITLES, ABLATIONS)
    assert ("ECE, unscaled ↓" in [cell.text for cell in display.header]) == scaled
    assert ("before temperature scaling" in display.caption) == scaled
    assert set(table["exit"]) == {1}
    full, without, gain = display.blocks[0]
    left = [LEFT_WRONG.format(target) for target in (2, 3, 4)]
    assert [cell.text for cell in display.header[-3:]] == [
        f"Wrong of left\n{target}× ↓" for target in (2, 3, 4)
    ]
    for column, measure in enumerate([*measures, *left], start=2):
        values = table[table["measure"] == measure].set_index("system")["score"]
        better = values["cascadebert"] > values["cascadebert-without-dar"]
        assert full[column].bold == (better != (measure in (*LOWER, *left)))
        assert full[column].bold != without[column].bold
        assert gain[column].text.split("\n")[0] == format_signed(
            values["cascadebert"] - values["cascadebert-without-dar"]
        )


@pytest.mark.parametrize("system", ["cascadebert", "cascadebert-without-dar"])
def test_of_an_undefined_measure_neither_is_the_better(system):
    f = frames()
    exits = f["exits"].copy()
    exits.loc[(exits["system"] == system) & (exits["measure"] == "dis"), "score"] = np.nan
    _, display = table5_calibration(exits, f["exit_differences"], TITLES, ABLATIONS)
    full, without, _ = display.blocks[0]
    assert grid.NOTHING in (full[2].text, without[2].text)
    assert [full[2].bold, without[2].bold] == [False, False]


@pytest.mark.parametrize(
    ("measure", "why"), [("dis", grid.UNDEFINED), (LEFT_WRONG.format(2), NONE_LEFT)]
)
def test_table5_says_why_a_measure_is_missing(measure, why):
    """Where a cascade of three has no text leave at its first model, nothing is wrong there."""
    f = frames()
    for name, column in (("exits", "score"), ("exit_differences", "difference")):
        f[name].loc[f[name]["measure"] == measure, column] = np.nan
    _, display = table5_calibration(f["exits"], f["exit_differences"], TITLES, ABLATIONS)
    column = 2 if measure == "dis" else -3
    notes = {mark: note for note, mark in display.notes.items()}
    for row in display.blocks[0]:
        assert (row[column].text, notes[row[column].mark]) == (grid.NOTHING, why)


def test_table1_says_sizes_margins_and_what_is_missing():
    plain, mnli = task_description("movies"), task_description("mnli")
    mnli["splits"]["test_mismatched"] = UNLABELLED | {"rows": 9000}
    plain["splits"]["test"] |= {"shared": {"train": 1200, "dev": 3}, "contradictory": 2}
    table, display = table1_data(
        [plain, mnli],
        frames(("movies", "mnli"))["points"],
        TITLES,
        ABLATIONS,
        {},
        CANDIDATES,
        CHOSEN,
    )
    assert len(table) == 7
    assert set(table["margin_cascadebert"]) == {"0.3"}
    movies, other = display.rows
    sizes = ["7,000", "800", "800", grid.NOTHING]
    assert [cell.text for cell in movies[3:]] == [*sizes, "51.2", "0.3"]
    assert other[6].text == "9,000"
    notes = {mark: note for note, mark in display.notes.items()}
    assert "no such split" in notes[movies[6].mark]
    assert "without labels" in notes[other[6].mark]
    assert notes[movies[4].mark] == "negative 400, positive 400"
    assert notes[movies[5].mark] == (
        "negative 400, positive 400; 1,200 texts are in train, too; 3 texts are in dev, too; "
        "2 texts have another label in another row"
    )
    here = table.set_index(["task", "split"]).loc[("movies", "test")]
    assert (here["shared_with_train"], here["shared_with_dev"], here["contradictory"]) == (
        1200,
        3,
        2,
    )
    assert json.loads(here["classes"]) == {"negative": 400, "positive": 400}


def test_table1_counts_candidates_and_says_which_settings_were_chosen():
    points = frames()["points"].copy()
    settings = [(("epochs", 2),), (("epochs", 4),)]
    candidates = {
        key: [replace(each, setting=setting) for setting in settings for each in of]
        for key, of in CANDIDATES.items()
    }
    chosen = {
        ("movies", key): of[-1 if key == "pabee" else 0].name for key, of in candidates.items()
    }
    del chosen["movies", "bert-3l"]
    # BERT-4L was run, but stands near no target.
    points = points[~points["system"].isin(["bert-3l", "bert-4l"])]
    points = pd.concat([points, describe_absent("bert-3l")])
    table, display = table1_data(
        [task_description()], points, TITLES, ABLATIONS, {}, candidates, chosen
    )
    assert set(table["setting_pabee"]) == {"epochs 4"}
    assert set(table["setting_cascadebert"]) == {"epochs 2"}
    assert set(table["margin_cascadebert"]) == {"0.3"}
    assert (set(table["candidates_pabee"]), set(table["candidates_cascadebert"])) == ({2}, {4})
    assert "alternatives: 2 for each system, 4 for CascadeBERT." in display.caption
    [row] = display.rows
    assert (display.header[-1].text, row[-1].text, row[-2].text) == ("Settings", "2", "0.3")
    note = {mark: note for note, mark in display.notes.items()}[row[-1].mark]
    assert "BERT-4L" in note.partition("epochs 4")[0]
    assert note.endswith("; epochs 4: PABEE; not run: BERT-3L")


def test_table1_has_the_majority_of_every_scored_split():
    splits = {"dev": 35.4, "dev_mismatched": 35.2}
    points = points_of(
        [{"split": split, "majority": of, "system": "bert"} for split, of in splits.items()],
        task="mnli",
    )
    _, display = table1_data([task_description("mnli")], points, {}, {}, {}, {}, {})
    [row] = display.rows
    place = [cell.text for cell in display.header].index("Majority class")
    assert row[place].text == "35.4 / 35.2"
    assert display.notes["on dev and dev_mismatched"] == row[place].mark


def describe_absent(system: str) -> pd.DataFrame:
    return points_of([{"system": system, "task": "movies", "score": np.nan, "note": NOT_RUN}])


def test_signs():
    numbers = (1.24, -0.3, 0.0, -0.04)
    assert [format_signed(x) for x in numbers] == ["+1.2", "−0.3", "0.0", "−0.0"]


def odd_display(content: str) -> Display:
    row = [Cell(content), Cell(f"[1.0]\n{content}", True, "a")]
    return Display(content, [Cell("h"), Cell(content)], [[row, row], [row]], 1, {content: "a"})


@given(st.text(st.sampled_from(r"ab1&%$#_{}~^\[]|*`<>:−×"), min_size=1, max_size=12))
def test_latex_escapes_everything(content):
    latex = to_latex(odd_display(content), "tab:x")
    rows = [line for line in latex.splitlines() if line.startswith("  ")]
    for line in rows:
        assert len(re.findall(r"(?<!\\)&", line)) == 1
        assert line.endswith(r" \\")
    assert latex.isascii()
    known = re.sub(r"\\[a-zA-Z]+|\\[&%$#_{}\\]", "", latex)  # commands and escaped characters
    assert known.count("{") == known.count("}")
    assert not re.search(r"[&%#_~^]", re.sub(r"(?m)^  .*$", "", known))
    assert known.count("$") % 2 == 0
    # \\ would take a bracket for its argument
    assert not re.search(r"\\\\\s*\[", latex)


def test_latex_is_a_booktabs_float():
    latex = to_latex(odd_display("x"), "tab:x")
    for line in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:x}", r"\caption{x}"):
        assert line in latex
    assert latex.count(r"\midrule") == 2
    assert r"\textbf{{[}1.0]}\textsuperscript{a}" in latex


def test_markdown_keeps_odd_text_in_its_cell():
    lines = to_markdown(odd_display(ODD)).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {3}
    assert r"a\_b" in table[2]
    assert r"**\[1.0\]**<sup>a</sup><br>" in table[2]


def test_html_escapes_text_and_marks_labels():
    page = to_html(odd_display("<script>&"), "t")
    assert "<script>" not in page
    assert "<td class=label>&lt;script&gt;&amp;</td>" in page
    assert page.count("<tbody>") == 2


MARKUP = ("x::", "{{ config }}", "{% if %}", "{# no #}", "a*b*", "|sub|", "name_")
LISTS = ("1. a", "A. a", "(ii) a", "- a")  # to reStructuredText, the items of one


def test_rst_renders_without_a_complaint():
    core = pytest.importorskip("docutils.core")
    jinja2 = pytest.importorskip("jinja2")
    for content in (ODD, *MARKUP, *LISTS):
        rendered = jinja2.Environment().from_string(to_rst(odd_display(content))).render()
        body = core.publish_parts(rendered, writer="html", settings_overrides={"halt_level": 2})[
            "html_body"
        ]
        plain = re.sub(r"<[^>]+>", "", body)
        assert content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in plain


def test_write_table_writes_all_forms_the_same_way_each_time(tmp_path):
    table, display = tables.table2_main(frames()["points"], TITLES)
    for folder in ("a", "b"):
        write_table(table, display, tmp_path / folder / "table2_main")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"table2_main.{suffix}" for suffix in ("csv", "html", "md", "tex")]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    read = pd.read_csv(tmp_path / "a" / "table2_main.csv")
    np.testing.assert_allclose(read["score"], table["score"], rtol=1e-5)
    for suffix in ("md", "tex", "html"):
        content = (tmp_path / "a" / f"table2_main.{suffix}").read_text()
        assert "On the development split every system with a threshold has exactly" in content


def every_table(f: dict[str, pd.DataFrame], tasks: list[str]) -> dict[str, Table]:
    rows = {key: TITLES[key] for key in ("bert-4l", "pabee", "cascadebert")}
    described = [task_description(task) for task in tasks]
    described[0]["splits"]["test_mismatched"] = UNLABELLED | {"rows": 9}
    points = f["points"]
    return {
        "1": table1_data(described, points, TITLES, ABLATIONS, {}, CANDIDATES, CHOSEN),
        "2": tables.table2_main(points, TITLES),
        "3": tables.table3_distillation(points, rows),
        "4": tables.table4_dar(points, f["differences"], TITLES, ABLATIONS),
        "4, not compared": tables.table4_dar(points, f["differences"][:0], TITLES, ABLATIONS),
        "5": table5_calibration(f["exits"], f["exit_differences"], TITLES, ABLATIONS),
        "6": tables.table6_backbone(points, rows, {"bert-12": "bert"}),
        "7": tables.table7_fastbert(points, rows),
    }


@pytest.mark.parametrize("tasks", [["movies"], ["movies", "rte"]])
def test_no_cell_is_empty_without_a_reason(tasks):
    f = frames(tasks)
    points = f["points"]
    # A student that stands nowhere on one task, and an interval that cannot be had.
    gone = (points["system"] == "bert-4l") & (points["task"] == "rte")
    f["points"] = points[~gone].reset_index(drop=True)
    f["points"].loc[f["points"]["system"] == "deebert", ["low", "high"]] = np.nan
    for name, (table, display) in every_table(f, tasks).items():
        assert len(table), name
        assert cells_without_reason(display) == [], name
        marks = {cell.mark for row in [display.header, *display.rows] for cell in row}
        assert marks - {""} == set(display.notes.values()), name
        assert len(set(map(len, [display.header, *display.rows]))) == 1, name


def test_students_stand_beside_the_cascade_at_their_own_speed_alone():
    rows = {key: TITLES[key] for key in ("bert-12l", "bert-4l", "cascadebert")}
    table, display = tables.table3_distillation(frames()["points"], rows)
    assert [block[0][0].text for block in display.blocks] == ["1×", "3×"]
    assert [row[1].text for row in display.blocks[1]] == ["BERT-4L", "CascadeBERT"]
    assert set(table["target_speedup"]) == {1, 3}
    _, empty = tables.table3_distillation(frames()["points"], {"cascadebert": "CascadeBERT"})
    assert (empty.blocks, empty.caption) == ([], tables.NO_CONTEST)


def test_a_system_that_is_near_no_target_is_named():
    rows = {"nowhere": "DistilBERT", "bert-4l": "BERT-4L", "cascadebert": "CascadeBERT"}
    _, display = tables.table3_distillation(frames()["points"], rows)
    assert "Not near any of these targets: DistilBERT." in display.caption


def test_table6_names_the_backbone_and_whether_it_is_the_papers():
    rows = {key: TITLES[key] for key in ("bert-12l", "bert-4l", "cascadebert")}
    points = frames()["points"]
    _, ours = tables.table6_backbone(points, rows, {"bert-12": "bert"})
    assert "start from bert-12 (architecture: bert)" in ours.caption
    assert "this is the closest that it can show" in ours.caption
    _, theirs = tables.table6_backbone(points, rows, {"roberta-12": "roberta"})
    assert "start from roberta-12 (architecture: roberta)" in theirs.caption
    assert "closest" not in theirs.caption


def test_table7_says_what_is_not_counted():
    _, display = tables.table7_fastbert(frames()["points"], {k: TITLES[k] for k in TITLES})
    assert "Speed-ups count encoder layers only" in display.caption
    _, display = tables.table7_fastbert(frames()["points"], TITLES, cost="seconds")
    assert "Speed-ups count the seconds up to each exit" in display.caption
    assert "layers" not in display.caption


def without_pabee_at_4x(points: pd.DataFrame) -> pd.DataFrame:
    missed = (points["system"] == "pabee") & (points["target_speedup"] == 4)
    points = points.copy()
    points.loc[missed, ["score", "low", "high", "speedup"]] = np.nan
    points.loc[missed, "note"] = "not reachable: nearest speed-up on dev is 3.70x"
    return points


def test_the_papers_numbers_stand_in_the_cells_and_beside_the_scores():
    points = without_pabee_at_4x(frames(("mrpc",), names=PAPERS)["points"])
    table, display = tables.table2_main(points, TITLES)
    at = table.set_index(["system", "target_speedup"])
    assert at.loc[("cascadebert", 2), "paper_score"] == 85.9
    assert at.loc[("pabee", 3), "paper_speedup"] == 2.72
    assert np.isnan(at.loc[("bert-3l", 4), "paper_score"])  # not named
    cell = {(b[0][0].text, row[1].text): row for b in display.blocks for row in b}
    score, interval, speed = cell["2×", "CascadeBERT"][2:]
    assert score.text.split("\n")[1] == "paper 85.9"
    assert "paper" not in interval.text
    assert speed.text.split("\n")[1] == "paper 2.01×"
    unreached = [c.text for c in cell["4×", "PABEE"][2:]]
    assert unreached == [
        f"{grid.NOTHING}\npaper 79.9",
        grid.NOTHING,
        f"{grid.NOTHING}\npaper 4.00×",
    ]
    assert "paper" not in cell["4×", "BERT-3L"][2].text
    assert "Table 2 of Li et al. (2021), on GLUE's test splits" in display.caption
    _, without = tables.table2_main(frames(("mrpc",))["points"], TITLES)
    assert "paper" not in to_markdown(without)


def test_the_papers_average_is_shown_where_it_has_all_columns():
    points = frames(("mrpc", "qnli"), names=PAPERS)["points"]
    _, display = tables.table2_main(points, TITLES)
    rows = {(b[0][0].text, row[1].text): row for b in display.blocks for row in b}
    assert rows["2×", "CascadeBERT"][2].text.split("\n")[2] == "paper 85.9 (2.01×)"
    # (85.9 + 89.4) / 2
    assert rows["2×", "CascadeBERT"][-1].text.split("\n")[1] in ("paper 87.6", "paper 87.7")
    assert "paper" in rows["4×", "PABEE"][2].text
    assert "paper" not in rows["4×", "PABEE"][3].text  # the paper has none for QNLI
    assert "paper" not in rows["4×", "PABEE"][-1].text


def test_tables_4_and_5_have_the_papers_numbers_of_their_own():
    four = frames(("qnli",), names=PAPERS, number=4)
    table, display = tables.table4_dar(four["points"], four["differences"], TITLES, ABLATIONS)
    assert [row[2].text.split("\n")[1:] for row in display.blocks[1]] == [
        ["paper 88.5"],
        ["paper 87.8"],
        [],
    ]
    five = frames(("qnli",), names=PAPERS, number=5)
    table, display = table5_calibration(five["exits"], five["exit_differences"], TITLES, ABLATIONS)
    assert [cell.text.split("\n")[2] for cell in display.rows[0][2:5]] == [
        "paper 78.89",
        "paper 84.53",
        "paper 3.41",
    ]
    assert table.set_index(["system", "measure"]).loc[("cascadebert", "ece"), "paper_score"] == 3.41
    assert "GLUE's development splits" in display.caption


def test_table1_has_the_papers_sizes_and_margins():
    described = task_description("mrpc")
    points = frames(("mrpc",))["points"]
    table, display = table1_data(
        [described], points, TITLES, ABLATIONS, read_published_sizes(PAPERS), CANDIDATES, CHOSEN
    )
    assert [cell.text for cell in display.rows[0][3:]] == [
        "7,000\npaper 3.7k",
        "800\npaper 0.4k",
        "800\npaper 1.7k",
        "51.2",
        "0.3\npaper 0.5",
    ]
    assert list(table["paper_rows"]) == [3700, 400, 1700]
    assert set(table["paper_margin_cascadebert"]) == {0.5}


def test_where_the_paper_counts_two_splits_as_one_it_says_so():
    names = {"systems": {}, "tasks": {"mnli": {"dev": "mnli-m", "dev_mismatched": "mnli-mm"}}}
    described = task_description("mnli")
    points = frames(("mnli",))["points"]
    _, display = table1_data(
        [described], points, TITLES, ABLATIONS, read_published_sizes(names), CANDIDATES, CHOSEN
    )
    notes = {mark: note for note, mark in display.notes.items()}
    dev = display.rows[0][4]
    assert dev.text == "800\npaper 20k"
    assert notes[dev.mark].endswith("; in the paper mnli-m and mnli-mm together")
    assert display.rows[0][-1].text == "0.3"  # no system is called the paper's


def test_undertrained_systems_and_what_exits_read_are_marked():
    rows = [
        {"system": "a", "score": 80.0, "undertrained": True},
        {"system": "b", "score": 70.0},
    ]
    for common in ({}, {"task": "u", "metric": "f1"}):
        points = pd.concat(
            [points_of(rows), points_of(rows[1:], **common)] if common else [points_of(rows)]
        )
        _, display = tables.table2_main(points, {"a": "A", "b": "B"}, averaging=["b"])
        names = ["t\ntest accuracy", "u\ntest F1"] if common else ["t\ntest accuracy"]
        assert [cell.text for cell in display.header[2 : 2 + len(names)]] == names
        notes = {mark: note for note, mark in display.notes.items()}
        *_, a, b, chance = display.rows
        assert chance[1].text == "Majority class"
        assert notes[a[2].mark] == grid.UNDERTRAINED
        assert not a[1].mark
        assert not b[2].mark
        assert notes[b[1].mark] == grid.MEAN


def test_the_table_of_probes_has_every_exit_beside_its_probe():
    rows = []
    for task, gap in (("t", -0.5), ("u", -3)):
        for system, costs in {"ramps": (1, 2, 3), "whole": (3,)}.items():
            for exit, cost in enumerate(costs, start=1):
                row = {"task": task, "system": system, "split": "test", "exit": exit}
                own = 80 + cost + (gap if system == "ramps" and exit == 1 else 0)
                row |= {"cost": float(cost), "accuracy": own, "probe": 80.0 + cost, "n": 9}
                row |= {"gap": own - 80 - cost, "undertrained": own < 78 + cost, "replicates": 2}
                rows.append(row)
    rows = [row for row in rows if (row["task"], row["system"]) != ("u", "whole")]
    titles, pooling = {"ramps": "Ramps", "whole": "Whole"}, {"ramps": "mean", "whole": "first"}
    table, display = table_probes(pd.DataFrame(rows), titles, pooling)
    assert len(table) == 7
    assert "Cost: in layers of the reference model." in display.caption
    _, timed = table_probes(pd.DataFrame(rows), titles, pooling, "seconds")
    assert "Cost: measured time" in timed.caption
    assert [[cell.text for cell in row] for row in display.rows] == [
        ["Ramps", "mean", "1", "80.5 / 81.0", "78.0 / 81.0"],
        ["", "", "2", "82.0 / 82.0", "82.0 / 82.0"],
        ["", "", "3", "83.0 / 83.0", "83.0 / 83.0"],
        ["Whole", "first", "3", "83.0 / 83.0", grid.NOTHING],
    ]
    notes = {mark: note for note, mark in display.notes.items()}
    assert notes[display.rows[0][4].mark] == "undertrained"
    assert notes[display.rows[3][4].mark] == NOT_RUN
    assert not cells_without_reason(display)
