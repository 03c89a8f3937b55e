"""The explorer of a finished experiment, in a real browser."""

import json
import re
from base64 import b64encode
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cascadebert.data.predictions import Predictions
from cascadebert.data.task import Task
from cascadebert.evaluation.choice import Choice
from cascadebert.systems.exits import PATIENCE
from tests.browser import open_browser

DRAWN = "document.querySelectorAll('#chart svg path').length > 20"
TITLES = {
    "bert-4l": "BERT-4L",
    "bert-2l": "BERT-2L",
    "deebert": "DeeBERT",
    "pabee": "PABEE",
    "cascadebert": "CascadeBERT",
    "plain": "CascadeBERT w/o DAR",
}


@pytest.fixture(scope="module")
def results(finished) -> Path:
    return finished / "results/small"


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("browser")) as page:
        page.resize(1280, 1600)
        page.open((results / "explorer/index.html").as_uri(), DRAWN)
        yield page
        assert page.errors == []


def read_rows(page, table: str) -> list[list[str]]:
    """The cells of the rows of a table's body."""
    cells = f"[...document.querySelectorAll('#{table} > tbody > tr')].map(row => "
    return page.evaluate(cells + "[...row.cells].map(cell => cell.innerText.trim()))")


def set_value(page, id: str, value: object) -> None:
    """What happens when a user changes a control."""
    control = f"document.getElementById('{id}')"
    page.evaluate(f"{control}.value = '{value}'; {control}.dispatchEvent(new Event('input'))")


def read_points(results: Path) -> pd.DataFrame:
    """The points of the page, from the CSV files: at a tie, those of the tables come first."""
    text = {"leaving": str, "knob": str}
    curves = pd.read_csv(results / "evaluation/words/curves.csv", dtype=text)
    points = pd.read_csv(results / "evaluation/words/operating_points.csv", dtype=text)
    probes = pd.read_csv(results / "evaluation/words/probes.csv")
    weak = set(probes.loc[probes["undertrained"], "system"])
    points = points[points["score"].notna() & ~points["system"].isin(["bert-4l", "bert-2l"])]
    both = pd.concat([points, curves])
    return both.assign(title=both["system"].map(TITLES), weak=both["system"].isin(weak))


def check_systems(page, results: Path, speedup: float) -> None:
    points = read_points(results)
    points["distance"] = np.log(points["target_speedup"] / speedup).abs().round(9)
    nearest = points.sort_values("distance", kind="stable").drop_duplicates("system")
    expected = nearest.set_index("title")
    rows = read_rows(page, "systems")
    assert sorted(title.split("\n")[0] for title, *_ in rows) == sorted(TITLES.values())
    for title, real, score, interval, knob, shares in rows:
        row = expected.loc[title.split("\n")[0]]
        assert ("undertrained" in title) == row.weak
        assert real.split("×")[0] == f"{row.speedup:.2f}"
        assert ("its nearest" in real) == (row.distance > np.log(1.2))
        assert score == f"{row.score:.1f}"
        assert interval == f"[{row.low:.1f}, {row.high:.1f}]"
        knobs = [] if pd.isna(row.knob) else list(map(float, row.knob.split()))
        shown = list(map(float, re.findall(r"[\d.]+", knob)))
        assert shown == pytest.approx(knobs, rel=1e-3)
        percents = [float(share) for share in re.findall(r"([\d.]+)%", shares)]
        expected_percents = [100 * float(share) for share in row.leaving.split()]
        expected_percents = [share for share in expected_percents if share >= 0.05]
        assert percents == pytest.approx(expected_percents, abs=0.051)


def test_the_slider_moves_and_the_numbers_are_those_of_the_csv_files(page, results):
    shown = "document.getElementById('shown').innerText"
    assert page.evaluate(shown) == "2.00×"
    check_systems(page, results, 2.0)
    page.evaluate("document.getElementById('speedup').focus()")
    before = page.evaluate("document.querySelector('#chart svg').outerHTML")
    for _ in range(10):
        page.press("ArrowLeft", 37)
    assert page.evaluate(shown) == "1.50×"
    check_systems(page, results, 1.5)
    page.wait(f"document.querySelector('#chart svg').outerHTML !== {json.dumps(before)}")
    assert page.evaluate("location.hash") == "#task=words&split=test&speedup=1.5"
    set_value(page, "speedup", 1.25)
    check_systems(page, results, 1.25)


def test_a_mark_tells_its_numbers_under_the_pointer(page, results):
    set_value(page, "speedup", 1.5)
    of_plain = "[...document.querySelectorAll('#chart .mark-symbol path')]"
    of_plain += ".filter(mark => mark.__data__.datum.system === 'plain')"
    page.evaluate("scrollTo(0, 0)")
    at = page.evaluate(
        "(box => ({x: box.x + box.width / 2, y: box.y + box.height / 2}))"
        f"({of_plain}.at(-1).getBoundingClientRect())"
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
    tooltip = "document.getElementById('vg-tooltip-element')"
    page.wait(f"{tooltip}?.innerText.includes('score')")
    told = page.evaluate(f"{tooltip}.innerText")
    lines = [  # another mark may lie on top
        (row.title, f"{row.speedup:.2f}", f"{row.score:.1f}", f"[{row.low:.1f}, {row.high:.1f}]")
        for row in read_points(results).itertuples()
    ]
    assert any(all(part in told for part in line) for line in lines), told


def test_another_address_shows_something_else_at_once(page):
    page.evaluate("document.getElementById('down').click()")  # to the examples
    assert page.evaluate("location.hash").startswith("#task=words&split=test&speedup=")
    page.evaluate("location.hash = '#task=words&split=test&speedup=1.85'")
    page.wait("document.getElementById('shown').innerText.startsWith('1.85')")


def test_the_legend_fits_a_window_that_gets_narrower(page):
    inside = """(() => {
        const box = document.querySelector('#chart svg').getBoundingClientRect();
        const names = [...document.querySelectorAll('#chart .role-legend-label text')];
        return names.filter(name => name.getBoundingClientRect().right <= box.right + 1).length;
    })()"""
    assert page.evaluate(inside) == len(TITLES)
    try:
        page.resize(500, 1600)
        page.wait("document.querySelector('#chart svg').getBoundingClientRect().width < 500")
        page.wait(f"{inside} == {len(TITLES)}")
    finally:
        page.resize(1280, 1600)


def test_an_address_names_what_is_shown(page, results):
    address = (results / "explorer/index.html").as_uri()
    page.open(f"{address}#task=words&split=test&speedup=1.75", DRAWN)
    check_systems(page, results, 1.75)


def test_it_is_one_file_that_loads_nothing(page, results):
    assert [path.name for path in (results / "explorer").glob("[!.]*")] == ["index.html"]
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_it_opens_as_the_report_holds_it(page, results):
    """As a data URL, which Chromium opens up to 2 MiB, and which has no address of its own."""
    content = b64encode((results / "explorer/index.html").read_bytes()).decode()
    page.open(f"data:text/html;charset=utf8;filename=index.html;base64,{content}", DRAWN)
    check_systems(page, results, 2.0)
    set_value(page, "speedup", 1.5)
    check_systems(page, results, 1.5)


def test_examples_show_what_the_systems_gave(page, results):
    """The confidences are those of the stored logits; the exit is that of a deployed threshold."""
    texts = Task.load(results / "data/words").splits["test"].set_index("id")
    place = results / "evaluation/words/choices"
    choices = {key: Choice.load(place / f"{key}.json") for key in ("pabee", "plain")}
    pabee, small, large = (
        Predictions.load(results / f"predictions/words/{run}/seed0/test.npz")
        for run in ("pabee-bert-4", "finetune-bert-2", "finetune-bert-4")
    )
    stored = {"pabee": pabee, "plain": small.followed_by(large)}
    taken = {
        "pabee": PATIENCE.exit_index(pabee, choices["pabee"].knobs[2.0][0]),
        "plain": np.where(small.confidence[:, 0] > choices["plain"].knobs[2.0][0], 0, 1),
    }
    page.open((results / "explorer/index.html").as_uri() + "#speedup=2", DRAWN)
    page.evaluate("{ const m = document.getElementById('more'); while (!m.hidden) m.click(); }")
    listed = "[...document.querySelectorAll('#rows .example')].map(row => row.dataset.id)"
    ids = page.evaluate(listed)
    assert len(set(ids)) == len(ids) > 5
    page.evaluate("document.querySelectorAll('#rows details').forEach(each => each.open = true)")
    page.wait(f"document.querySelectorAll('#rows details table').length === {len(ids)}")
    rows = read_rows(page, "rows")
    labels = ["negative", "positive"]
    for id, (text, gold, difficulty), (told,) in zip(ids, rows[::2], rows[1::2], strict=True):
        assert text == texts.loc[id, "text"]
        assert gold == labels[texts.loc[id, "label"]]
        assert re.fullmatch(r"easy|difficult \([01] of 2 seeds right\)", difficulty)
        lines = [line.split("\t") for line in told.splitlines() if "%" in line]
        shown = {title: (answer, percents) for title, answer, percents in lines}
        right = sum(answer == f"✓ {gold}" for answer, _ in shown.values())
        assert told.startswith(f"{right} of {len(TITLES)} right")
        row = small.ids.tolist().index(id)
        for key, of in stored.items():
            answer, percents = shown[TITLES[key]]
            assert answer.split()[1] == labels[of.predicted[row, taken[key][row]]]
            confidence = [int(percent) for percent in re.findall(r"(\d+)%", percents)]
            assert confidence == (100 * of.confidence[row]).round().astype(int).tolist()

    word = max(texts.loc[ids[0], "text"].split(), key=len)
    set_value(page, "search", word)
    found = [text for text, *_ in read_rows(page, "rows")[::2]]
    assert found == [text for text in texts.loc[ids, "text"] if word in text]
    set_value(page, "search", "<no such word>")
    assert read_rows(page, "rows") == []
