import os
import signal
import sys
import time

import pytest

from tests.workflow.command import warm_server
from tests.workflow.faults import RESULTS, Campaign, Workflow

PREDICTIONS = RESULTS / "predictions/words"
# A training that needs difficulty labels, and one that starts from another.
LABELLED = [str(PREDICTIONS / "finetune-bert-2-margin0.1/seed0")]
STARTED = [str(PREDICTIONS / "deebert-bert-4/seed0")]


# These tests are the short form of `make faults`. What kills nothing runs in warm processes.


def test_what_is_killed_goes_on(tmp_path, config, finished):
    campaign = Campaign(tmp_path, config, finished, seed=1, targets=LABELLED)
    campaign.kill([signal.SIGKILL, signal.SIGTERM])
    assert campaign.survived.total() == campaign.tried.total() == 2


def test_what_is_damaged_is_noticed_and_made_again(tmp_path, config, finished):
    python = [str(warm_server().python)]
    campaign = Campaign(tmp_path, config, finished, seed=1, python=python)
    campaign.corrupt(3)
    assert campaign.survived.total() == campaign.tried.total() == 3


def test_ctrl_c_saves_what_was_trained_and_says_how_to_go_on(tmp_path, config):
    longer = {**config, "training": {**config["training"], "epochs": 200}, "save_seconds": 1e6}
    warm = [str(warm_server().python)]
    workflow = Workflow(tmp_path / "interrupted", longer, LABELLED, warm)
    assert workflow.run(targets=["results/small/tokens/words/bert-4"]) == 0
    workflow.python = [sys.executable]
    process = workflow.start()
    while "epoch 2:" not in workflow.log.read_text():
        assert process.poll() is None, workflow.log.read_text()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait() != 0
    said = workflow.log.read_text()
    assert "asked to stop: the state is in" in said
    assert "To go on, run the same command again" in said
    assert "Traceback" not in said
    states = list((workflow.folder / RESULTS / "store").rglob("*.safetensors"))
    assert states
    workflow.python = warm
    assert workflow.run("--dry-run") == 0, workflow.log.read_text()  # it left no lock


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_loses_nothing(tmp_path, config, finished):
    python = [str(warm_server().python)]
    campaign = Campaign(tmp_path, config, finished, seed=2, targets=STARTED, python=python)
    campaign.fill_disk()
    assert campaign.survived["full disk"] == 1
