"""`cascadebert bench`: every runtime of a folder, beside the largest member alone."""

import pandas as pd
import pytest

from cascadebert.commands.main import main
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.latency import time_in_turn
from tests.commands.test_predict import TEXTS


@pytest.fixture
def table(tmp_path, model):
    """Texts, and the large member's answers as their labels."""
    labels = Cascade.from_pretrained(model, 1.0)(TEXTS).labels  # none leaves early
    rows = [f"{text},{label}" for text, label in zip(TEXTS, labels, strict=True)]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["text,gold", *rows]))
    return path


def bench(model, capsys, *arguments: object) -> tuple[int, list[list[str]], str]:
    status = main(["bench", "--model", str(model), "--seconds", "0.1", *map(str, arguments)])
    said = capsys.readouterr()
    return status, [line.split() for line in said.out.splitlines()], said.err


def test_a_cascade_stands_beside_its_last_member(model, table, capsys):
    status, lines, _ = bench(model, capsys, table, "--label", "gold", "--threshold", "0.6")
    assert status == 0
    assert lines[0][-1] == "accuracy"
    rows = [line for line in lines if line[0] == "torch"]
    assert [row[1:4] for row in rows[:2]] == [["member", "2", "alone"]] * 2
    assert [row[1:3] for row in rows[2:]] == [["cascade", "1"], ["cascade", "32"]]
    assert {row[-1] for row in rows[:2]} == {"100.0"}
    answers = Cascade.from_pretrained(model, 0.6)(TEXTS).labels
    gold = [line.split(",")[1] for line in table.read_text().splitlines()[1:]]
    right = 100 * (answers == gold).mean()
    assert {row[-1] for row in rows[2:]} == {f"{right:.1f}"}
    for row in rows:
        milliseconds, *_, a_second, faster, _ = row[row.index("1" if "1" in row else "32") + 1 :]
        # both are rounded: texts to whole numbers, milliseconds to three digits
        expected = 1000 / float(milliseconds)
        rounding = 0.5 + 0.0051 * expected
        assert float(a_second.replace(",", "")) == pytest.approx(expected, abs=rounding, rel=0)
        assert float(faster) > 0


def test_without_labels_there_is_no_score(model, table, capsys):
    status, lines, _ = bench(model, capsys, table)
    assert status == 0
    assert lines[0][-1] == "faster"


def test_labels_are_read_as_in_training(model, table, capsys, tmp_path):
    """By name or by number, as strings or, in JSONL, as numbers."""
    _, named, _ = bench(model, capsys, table, "--label", "gold")
    classes = Cascade.from_pretrained(model).classes
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    numbers = [{"text": text, "gold": classes.index(label)} for text, label in rows]
    frame = pd.DataFrame(numbers)
    frame.to_csv(tmp_path / "numbers.csv", index=False)
    frame.to_json(tmp_path / "numbers.jsonl", orient="records", lines=True)
    for name in ("numbers.csv", "numbers.jsonl"):
        status, lines, said = bench(model, capsys, tmp_path / name, "--label", "gold")
        assert status == 0, said
        shown = [[line[-1] for line in found if line[0] == "torch"] for found in (named, lines)]
        assert shown[0] == shown[1]


def test_quotes_may_be_ordinary_characters(model, table, capsys):
    table.write_text('text,gold\n"superb film,positive\ndull film,negative\n')
    status, _, said = bench(model, capsys, table, "--label", "gold")
    assert status == 1
    assert "a quote opens a field that does not end" in said
    status, lines, _ = bench(model, capsys, table, "--label", "gold", "--quotes", "no")
    assert status == 0
    assert lines[0][-1] == "accuracy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label", "text"), "line 2: superb film is no label of the cascade; it has negative,"),
        (("--label", "none"), "no column 'none'"),
        (("--rows", "0"), "--rows is 0; give a number above 0"),
        (("--seconds", "inf"), "--seconds is inf; give a number above 0"),
        (("--runtime", "onnx"), "model.onnx is missing"),
        (("--speedup", "9"), "no speed-up on torch 9.0"),
    ],
)
def test_what_cannot_be_timed_is_told(model, table, capsys, arguments, message):
    status, lines, said = bench(model, capsys, table, *arguments)
    assert (status, lines) == (1, [])
    assert message in said


def test_systems_are_timed_in_turn():
    asked = []

    def make_answer(name):
        return lambda texts, pairs, size: asked.append((name, len(texts)))

    answers = [make_answer("a"), make_answer("b")]
    assert time_in_turn(answers, ["x"] * 3, None, 1, rounds=2).shape == (2, 2, 3)
    assert "".join(name for name, _ in asked) == "aaabbb" * 3  # the first round warms up
    assert {count for _, count in asked} == {1}
    asked.clear()
    took = time_in_turn(answers, ["x"] * 3, ["y"] * 3, 32, rounds=1)
    assert asked == [("a", 3), ("b", 3)] * 2
    assert (took[0, 0] == took[0, 0, 0]).all()
