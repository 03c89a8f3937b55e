"""`cascadebert run` starts the workflow, and says how to go on where it stopped."""

import pytest
import yaml

from cascadebert.commands.main import main
from tests.conftest import sentences

pytestmark = pytest.mark.slow


@pytest.fixture
def configured(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    sentences(60, 4)[["text", "label"]].to_csv("tickets.csv", index=False)
    assert main(["init", "tickets.csv"]) == 0
    capfd.readouterr()
    return tmp_path / "tickets.yaml"


def test_what_init_writes_can_be_planned(configured, capfd):
    assert main(["run", configured.name, "--cores", "1", "--dry-run"]) == 0
    said = "".join(capfd.readouterr())
    assert "table2_main" in said
    assert "fetch_encoder" not in said  # the embedded encoders need no hub


def test_options_of_snakemake_are_passed_on(configured, capfd):
    target = "results/tickets/data/tickets"
    assert main(["run", configured.name, "--cores", "1", "--dry-run", "--", target]) == 0
    said = "".join(capfd.readouterr())
    assert "prepare_task" in said
    assert "table2_main" not in said


def test_a_run_that_fails_says_how_to_go_on(configured, capfd):
    (configured.parent / "tickets.csv").unlink()
    assert main(["run", configured.name, "--cores", "1"]) == 1
    said = capfd.readouterr().err
    assert "to go on, give `cascadebert run tickets.yaml` again" in said
    assert "Traceback" not in said


def test_a_wrong_configuration_starts_nothing(configured, capfd):
    config = yaml.safe_load(configured.read_text())
    configured.write_text(yaml.safe_dump(config | {"replicates": 0}))
    assert main(["run", configured.name]) == 1
    said = capfd.readouterr().err
    assert said.startswith("cascadebert: configuration, replicates: 0 is less than")
    assert main(["run", configured.name, "--cores", "0"]) == 1
    assert not (configured.parent / ".snakemake").exists()
