"""The model card tells where its numbers say less than they seem to."""

import json
import re
from pathlib import Path

import pytest
import yaml

from cascadebert.commands.main import build_parser
from cascadebert.core.errors import UserError
from cascadebert.data.task import Task
from cascadebert.deployment.card import write_card
from cascadebert.deployment.finished import FinishedCascade
from cascadebert.deployment.folder import Description, OperatingPoint, SavedMember
from cascadebert.deployment.packing import describe_origin
from cascadebert.experiment.configuration import Experiment
from tests.synthetic import predictions
from tests.tiny import sentences

SPEED = {"score": 90.0, "low": 85.0, "high": 95.0}
SPEED |= {"speedup": 2.0, "speedup_low": 1.8, "speedup_high": 2.2}
LOSS = {"loss": 0.5, "low": 0.0, "high": 1.0, "speedup": 1.5}


@pytest.fixture
def write(tmp_path):
    """Writes the card of a cascade for a task with these splits; returns its text."""

    def write(
        splits: list[str],
        temperatures: tuple[float, float] = (1.0, 1.0),
        pairs: bool = False,
        candidates: int = 1,
    ) -> str:
        tables = {split: sentences(40, number) for number, split in enumerate(splits)}
        if pairs:
            tables = {k: table.assign(text_pair=table["text"]) for k, table in tables.items()}
        sources = dict.fromkeys(splits, "made here")
        data = Task("words", ["no", "yes"], "accuracy", tables, sources)
        members = []
        for number, temperature in enumerate(temperatures, 1):
            place = tmp_path / f"member-{number}"
            place.mkdir()
            (place / "config.json").write_text(json.dumps({"model_type": "bert"}))
            members.append(SavedMember(place.name, ".", 0, ["input_ids"], temperature))
        names = ("experiment", "task", "system", "title")
        about = dict.fromkeys(names, "words") | {"metric": "accuracy", "replicate": 0}
        about |= {"members": ["small", "large"], "sha256": [{}, {}]}
        scored = data.scored_splits[0]
        promise = {"max_loss": 0.01, "delta": 0.1}
        points = [
            OperatingPoint("torch", [0.8], 2.0, None, {scored: SPEED}),
            OperatingPoint("onnx-int8", [0.8], 2.0, None, {scored: SPEED}),
            OperatingPoint("torch", [0.9], None, promise, {scored: LOSS}),
        ]
        described = Description(["no", "yes"], 64, members, points, about)
        found = {scored: predictions(40, (2.0, 14.0), split=scored)}
        by_runtime = {"torch": found, "onnx-int8": found}
        write_card(tmp_path, described, data, by_runtime, full_cost=12, candidates=candidates)
        return (tmp_path / "README.md").read_text()

    return write


def test_a_loss_on_the_texts_that_chose_the_thresholds_is_marked(write):
    card = write(["train", "dev"])
    assert "| loss on dev (in-sample) |" in card
    assert "In-sample: no test split has labels" in card
    assert "chose the best epoch, which the theory" in card


def test_a_loss_on_other_texts_is_not(write):
    card = write(["train", "dev", "test"])
    assert "| loss on test |" in card
    assert "n-sample" not in card


def test_temperatures_are_an_exception_to_the_theory(write):
    card = write(["train", "dev", "test"], (1.25, 0.9))
    assert "chose the best epoch and the temperatures, which the theory" in card


def test_so_is_a_choice_among_trainings(write):
    card = write(["train", "dev", "test"], candidates=3)
    said = "chose the best epoch and one of 3 trainings (margins, alphas or settings), which the"
    assert said in " ".join(card.split())


def test_its_command_does_what_its_code_does(write):
    card = write(["train", "dev", "test"])
    said = " ".join(re.findall(r"For files: `cascadebert (predict [^`]*)`", card, re.S)[0].split())
    command = build_parser().parse_args(said.split())
    assert 'cascade(["a text"]).as_pipeline()' in card
    given = f'speedup={command.speedup:g}, runtime="{command.runtime}"'
    assert f'Cascade.from_pretrained("{command.model}", {given})' in card


def test_its_code_has_pairs_where_the_task_has_them(write):
    assert 'cascade(["a text"], ["its pair"])' in write(["train", "dev", "test"], pairs=True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"code": {}}'])
def test_a_damaged_record_of_provenance_is_told(task, tmp_path, content):
    config = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
    experiment = Experiment(config)
    found = FinishedCascade(
        experiment=experiment,
        results=tmp_path,
        task=experiment.tasks[0],
        system=experiment.systems["cascadebert"],
        replicate=0,
        runs=(),
        folders=[],
        thresholds={},
        temperatures=[],
        full_cost=12,
    )
    (tmp_path / "provenance.json").write_text(content)
    with pytest.raises(UserError, match=r"provenance\.json is damaged .*; delete it and run again"):
        describe_origin(found, task)
