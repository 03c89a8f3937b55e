"""What the explorer's page holds; tests/workflow/test_explorer.py opens it in a browser."""

import gzip
import json
import re
from base64 import b64decode
from math import nan

import pandas as pd
import pytest

from cascadebert.reporting import explorer
from cascadebert.reporting.explorer import Scene, write_explorer
from cascadebert.reporting.tables import table2_main
from tests.simulation import TARGETS, TITLES, frames

SCENE = Scene(
    experiment="<i>&",
    titles=TITLES,
    knobs=dict.fromkeys(TITLES, ""),
    targets=TARGETS,
    tolerance=0.2,
    cost="layers",
    proposed="cascadebert",
)
ENDING = "</script><script>alert(1)</script><!--"


def write(examples: int, **changed: pd.DataFrame) -> str:
    made = frames() | changed
    rows = [
        {"id": f"{row}", "text": f"{row} {ENDING}", "gold": "yes", "outputs": {}}
        for row in range(examples)
    ]
    place = {("movies", "test"): {"labels": ["no", "yes"], "examples": rows}}
    of_all = (made[name] for name in ("curves", "points", "exits", "probes"))
    return write_explorer(SCENE, *of_all, place)


def read_packed(page: str) -> dict:
    packed = re.search(r'id="packed">([^<]*)<', page)
    assert packed
    return json.loads(gzip.decompress(b64decode(packed.group(1))))


@pytest.fixture
def without_library(monkeypatch):
    """Bundling it takes a second, and the browser's tests have it."""
    monkeypatch.setattr(explorer, "bundle_library", lambda: "")


def test_texts_end_no_element_and_names_are_escaped(without_library):
    page = write(3)
    assert ENDING not in page
    assert "<title>Explorer: &lt;i&gt;&amp;</title>" in page
    [place] = read_packed(page)["data"]["places"]
    assert [example["text"] for example in place["examples"]] == [f"{n} {ENDING}" for n in range(3)]


def test_a_page_that_is_too_large_has_fewer_examples(without_library, monkeypatch):
    size = len(write(0).encode())
    monkeypatch.setattr(explorer, "LARGEST", size + 1500)
    page = write(500)
    [place] = read_packed(page)["data"]["places"]
    assert len(page.encode()) <= size + 1500
    assert 0 < len(place["examples"]) < 500
    assert [example["id"] for example in place["examples"]][:3] == ["0", "1", "2"]
    monkeypatch.setattr(explorer, "LARGEST", 1)  # points are not left out
    [place] = read_packed(write(500))["data"]["places"]
    assert place["examples"] == []
    assert {point["system"] for point in place["points"]} == set(TITLES)


def test_the_same_results_give_the_same_bytes(without_library):
    assert write(20) == write(20)


def test_a_system_near_no_target_is_called_undertrained_by_its_probes(without_library):
    made = frames()
    points = made["points"][made["points"]["system"] != "bert-3l"]
    probes = made["probes"].assign(undertrained=made["probes"]["system"] == "bert-3l")
    [place] = read_packed(write(0, points=points, probes=probes))["data"]["places"]
    weak = {point["system"] for point in place["points"] if point["undertrained"]}
    assert weak == {"bert-3l"}


def test_the_majority_class_has_the_score_of_the_tables(without_library):
    """A browser rounds halves up."""
    made = frames()
    points = made["points"].assign(majority=50.25)
    _, display = table2_main(points.assign(paper_score=nan, paper_speedup=nan), TITLES)
    page = write(0, points=points)
    [place] = read_packed(page)["data"]["places"]
    assert place["majority"] == display.rows[-1][2].text == "50.2"
    assert "majority.toFixed" not in page
