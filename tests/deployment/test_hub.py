"""A cascade goes to a hub and comes back; a hub that cannot be reached is told."""

import json
import os
import subprocess
import sys

import pytest

from cascadebert.core.errors import UserError
from cascadebert.deployment.cascade import Cascade
from tests.hub import COMMIT, Hub
from tests.workflow.command import ROOT

PUSH = """if True:
    import json, sys
    from cascadebert import Cascade
    cascade = Cascade.from_pretrained(sys.argv[1], threshold=0.9)
    print(cascade.push_to_hub("user/model", token="hf_secret"))
    print(json.dumps(list(Cascade.from_pretrained("user/model", threshold=0.9)(["a warm film"]))))
"""


@pytest.mark.slow
def test_what_is_pushed_can_be_loaded_by_its_name(trained, tmp_path):
    cascade = Cascade.from_pretrained(trained[0], 0.9, max_length=64)
    cascade.save_pretrained(tmp_path / "model")
    hub = Hub()
    environment = os.environ | {
        "HF_ENDPOINT": hub.address,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
    }
    said = subprocess.run(
        [sys.executable, "-c", PUSH, tmp_path / "model"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    hub.shutdown()
    assert said.returncode == 0, said.stderr
    address, answers = said.stdout.splitlines()
    assert address.endswith(f"/user/model/commit/{COMMIT}")
    assert json.loads(answers) == list(cascade(["a warm film"]))
    assert {"cascade.json", "tokenizer.json", "member-2/model.safetensors"} <= set(hub.files)


def test_a_hub_that_cannot_be_reached_is_told(trained):
    cascade = Cascade.from_pretrained(trained[0], 0.9, max_length=64)
    with pytest.raises(UserError, match=r"user/model was not uploaded .*; check the"):
        cascade.push_to_hub("user/model", token="hf_secret")
