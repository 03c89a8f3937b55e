import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cascadebert.core.errors import UserError
from cascadebert.experiment.check import check, read_override
from cascadebert.experiment.configuration import load_experiment
from tests.experiment.test_experiment import ROOT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"experiment: x\ntraining: {epochs: 3\nseed: 1\n", r"wrong, line \d, column \d+: no YAML"),
        (b"experiment: x\n\tseed: 3\n", r"wrong, line 2, column 1: no YAML"),
        (b"a: *nothing\n", r"wrong, line 1, column 4: no YAML \(found undefined alias"),
        (b'seed: !!python/object/apply:os.system ["true"]\n', r"wrong, line 1, .*: no YAML"),
        ("experiment: x\n".encode("utf-16"), r"wrong: no UTF-8 text .*save it as UTF-8"),
        (b"\xff\xfe\x00\x01", r"wrong: no UTF-8 text"),
        (b"a: &a\n  b: *a\n", r"wrong: a part of it contains itself"),
        (b"- 1\n- 2\n", r"wrong: it has no keys"),
        (b"", r"wrong: it has no keys"),
        (b"experiment: x\x07\n", r"wrong: no YAML \(unacceptable character"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(content, message, tmp_path):
    (tmp_path / "wrong").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_override(tmp_path / "wrong")


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: cannot be read \(No such file"):
        read_override(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory"):
        read_override(tmp_path)


def test_json_with_tabs_and_yaml_are_read(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{\t"experiment": "mine"}')
    assert check(path) == "results/mine"
    assert check() == "results/movies"


@pytest.mark.parametrize("text", ["[", "'", "a: b: c"])
def test_what_is_neither_true_nor_false_is_refused(text):
    """As `--config only_finished=[` passes it on."""
    with pytest.raises(UserError, match=r"only_finished: .* is not of type 'boolean'"):
        load_experiment(ROOT / "config.yaml", {"experiment": "x", "only_finished": text})


@pytest.mark.slow
def test_make_tells_the_mistakes_before_it_runs(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("experiment: wrong\nreplicates: 0\nseed: -1\n")
    command = [sys.executable, "-m", "cascadebert.experiment.check", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [
        "configuration, seed",
        "configuration, replicates",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["it's mine.yaml", "über & mehr (2).yaml", 'a "b".yaml', "plain.yaml"]
)
def test_make_takes_a_configuration_of_any_name(name):
    command = ["make", "--dry-run", "--old-file", ".venv/installed", "run", f"CONFIG={name}"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    commands = [line for line in result.stdout.splitlines() if "snakemake" in line]
    assert [shlex.split(line)[-2:] for line in commands] == [["--configfile", name]]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["bench", "showcase"])
def test_make_takes_no_other_experiment_for_a_wrong_one(target):
    command = ["make", "--no-print-directory", "--old-file", ".venv/installed"]
    command += [f"BIN={Path(sys.executable).parent}", target, "CONFIG=nowhere.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith("nowhere.yaml: cannot be read")
    assert result.stdout == ""
