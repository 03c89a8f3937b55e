import os
import signal

import pytest

from tests.workflow.faults import RESULTS, Campaign

# One training that labels difficulty, one that needs the labels, one that starts from another.
TARGETS = [
    str(RESULTS / "predictions/words" / run / "seed0")
    for run in ("finetune-bert-2-margin0.1", "deebert-bert-4")
]


def test_what_breaks_is_made_good(tmp_path, config, finished):
    """The short form of `make faults`."""
    campaign = Campaign(tmp_path, config, finished, seed=1, targets=TARGETS)
    campaign.kill([signal.SIGKILL] * 2 + [signal.SIGTERM] + [signal.SIGKILL] * 2)
    campaign.corrupt(4)
    assert campaign.tried.total() == 9
    assert campaign.survived == campaign.tried


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_loses_nothing(tmp_path, config, finished):
    campaign = Campaign(tmp_path, config, finished, seed=2, targets=TARGETS)
    campaign.fill_disk()
    assert campaign.survived["full disk"] == 1
