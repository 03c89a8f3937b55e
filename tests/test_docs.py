"""The documentation is of one piece with the code: links, generated pages, quoted messages."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from cascadebert.commands.main import build_parser
from docs.scripts import replication
from docs.scripts.reference import WRITERS, find_stale

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


def list_pages() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "docs", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    pages = sorted({ROOT / name for name in listed.stdout.splitlines() if name.endswith(".md")})
    return [page for page in pages if page.exists()]


def list_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", name).strip().lower()) for name in headings}


@pytest.mark.parametrize("page", list_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        if path.startswith(("http://", "https://", "mailto:")):
            continue
        target = page.parent / path if path else page
        assert target.exists(), f"{link} of {page.relative_to(ROOT)}"
        assert not anchor or anchor in list_anchors(target), link


def test_every_page_is_in_the_navigation():
    named = (ROOT / "mkdocs.yml").read_text()
    shown = {"movies", "movies_long", "everything"}  # their first pages lead to the others
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        if name.split("/")[0] not in shown or page.name == "README.md":
            assert re.search(rf"[ :]{re.escape(name)}$", named, re.M), (
                f"{name} is not in mkdocs.yml"
            )


def test_the_reference_is_what_schemas_and_parser_say():
    assert find_stale() == [], "run `make reference`"


def test_the_tables_of_the_replication_are_those_of_its_files():
    page = replication.PAGE.read_text()
    assert replication.fill(page) == page, "run docs/scripts/replication.py"
    splits = replication.read("table1_data")
    assert not splits.duplicated(["task", "split"]).any(), "two folders have the same task"
    marked = {name for name, *_ in replication.MARKED.findall(page)}
    assert marked == {*replication.TABLES, *splits["task"]}
    # The paper's Tables 2, 4 and 7 have these.
    beside = replication.read_points().dropna(subset="paper_score")["system"]
    assert {"deebert", "cascadebert-without-dar", "fastbert"} <= set(beside)


def test_a_task_of_the_replication_is_not_copied_to_a_second_folder(tmp_path):
    (tmp_path / "tables").mkdir()
    parts = [replication.DATA / task / "table1_data.csv" for task in ("sst2", "snli")]
    both = pd.concat(map(pd.read_csv, parts))
    both.to_csv(tmp_path / "tables/table1_data.csv", index=False)
    shutil.copy(replication.DATA / "sst2/provenance.json", tmp_path)
    with pytest.raises(SystemExit, match=r"has .*, too; delete it first"):
        replication.copy_results(tmp_path)
    assert not (replication.DATA / "sst2-snli").exists()


def test_the_held_out_losses_of_the_family_are_those_of_its_files():
    page = (ROOT / "docs/how-to/pretrain_small_models.md").read_text()
    rows = re.findall(r"^\| bert-(\d+)x128 \| ([\d.]+) M \| (0\.\d+) \| (0\.\d+) \|", page, re.M)
    assert [layers for layers, *_ in rows] == ["2", "4", "6", "12"]
    read = 0.0  # tokens; each encoder starts from the one before
    for layers, tokens, *losses in rows:
        lines = (ROOT / f"docs/pretraining/held-out-{layers}.csv").read_text().splitlines()
        found = dict(zip(lines[0].split(","), map(float, lines[-1].split(",")), strict=True))
        read += found["tokens"]
        assert tokens == f"{read / 1e6:.1f}"
        assert losses == [f"{found[name]:.3f}" for name in ("sentence", "words")]


def test_every_key_has_a_description():
    """Else the page could not be written; here, that nothing else is left empty."""
    page = WRITERS["configuration.md"]()
    keys = re.findall(r"^\* \*\*`([\w.*\[\]]+)`\*\* \(.+\): \S.+\.", page, re.M)
    assert len(keys) == page.count("\n* **`") > 150


def test_the_page_of_commands_has_every_option():
    page, parser = WRITERS["commands.md"](), build_parser()
    [commands] = (a for a in parser._actions if isinstance(a.choices, dict))
    options = {
        option
        for each in (parser, *commands.choices.values())
        for action in each._actions
        for option in action.option_strings[-1:]
    }
    assert "--version" in options
    assert [option for option in sorted(options) if option not in page] == []


def read_text(node: ast.expr) -> str | None:
    """A string of the code, with … for what is put into it."""
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
        return "".join(map(str, parts))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_quoted_messages_are_those_of_the_code():
    said = [
        text
        for path in (ROOT / "cascadebert").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.expr) and (text := read_text(node))
    ]
    quoted = re.findall(r"^### `(.+)`$", (ROOT / "docs/faq.md").read_text(), re.M)
    assert len(quoted) > 15
    for message in quoted:
        assert any(message in text for text in said), f"no code says: {message}"


def test_commands_run_as_they_are_written():
    """Snakemake wants cores or a profile, and benchmarks the place of the library."""
    configurations = [ROOT / "config.yaml", *(ROOT / "config").glob("*.yaml")]
    for place in [*list_pages(), *configurations, *(ROOT / "profiles").rglob("*.yaml")]:
        text = place.read_text()
        for command in re.findall(r"snakemake [^`\n]*--configfile[^`\n]*", text):
            assert re.search(r" (--cores|--profile|--report|-n) ", command), f"{place}: {command}"
        words = " ".join(text.split())
        for before in re.findall(r"(\S*)[ (`]+python (?:benchmarks|docs/scripts)/", words):
            assert before.endswith("PYTHONPATH=."), f"{place}: {before} python"
