"""The command line starts at once, and says what is wrong in one sentence."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cascadebert.commands.main import main
from tests.commands.test_predict import TEXTS
from tests.workflow.command import ROOT

COMMANDS = ["init", "run", "export", "predict", "explain", "bench", "check"]


@pytest.mark.slow
def test_starting_it_imports_only_what_comes_with_python():
    code = """if True:
        import sys
        from cascadebert.commands.main import build_parser
        build_parser().format_help()
        found = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
        print(sorted(name for name in found if not name.startswith("_")))
    """
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    heavy = {"torch", "transformers", "numpy", "pandas", "snakemake"}
    assert not heavy & set(re.findall(r"'(\w+)'", found.stdout)), found.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert command in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"usage: cascadebert {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["run", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["export", "nowhere", "out", "--system", "x"], "nowhere has no config.yaml and is not"),
        (["predict", "--model", "nowhere", "in.csv", "out.csv"], "in.csv: cannot be read"),
        (["explain", "--model", "nowhere", "a film"], "nowhere: there is no such folder"),
        (["init", "nowhere.csv"], "nowhere.csv: cannot be read"),
    ],
)
def test_what_is_missing_is_told(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"cascadebert: {message}")
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["90", "-0.1", "nan", "abc", "0.9,abc", ""])
def test_a_threshold_is_a_number_from_0_to_1(given, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["explain", "--model", "model", f"--threshold={given}", "a film"])
    said = capsys.readouterr().err
    assert f"{given!r} is no threshold; give a number from 0 to 1, or several with commas" in said


def test_check_tells_all_mistakes(tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("experiment: bad\nreplicates: many\nseed: x\n")
    assert main(["check", str(tmp_path / "bad.yaml")]) == 1
    said = capsys.readouterr().err
    assert "replicates: 'many'" in said
    assert "seed: 'x'" in said
    (tmp_path / "good.yaml").write_text("experiment: good\n")
    assert main(["check", str(tmp_path / "good.yaml")]) == 0
    assert "results go to results/good" in capsys.readouterr().out


def test_explain_says_which_member_answers_and_why(model, capsys):
    assert main(["explain", "--model", str(model), "--threshold", "0", TEXTS[0]]) == 0
    said = capsys.readouterr().out
    assert "from member 1" in said
    assert "above its threshold of 0.0000: it answers" in said
    assert "it does not run, since an earlier member answered" in said
    assert main(["explain", "--model", str(model), "--threshold", "1", TEXTS[0]]) == 0
    said = capsys.readouterr().out
    assert "from member 2" in said
    assert "not above its threshold of 1.0000: it passes the text on" in said


@pytest.mark.parametrize("arguments", [("explain", "a film"), ("predict", "in.csv", "out.csv")])
def test_a_model_without_thresholds_needs_one(model, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("text\na film\n")
    path = Path(shutil.copytree(model, "bare"), "cascade.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"points": []}))
    command, *given = arguments
    assert main([command, "--model", "bare", *given]) == 1
    said = capsys.readouterr().err
    assert said == "cascadebert: bare has no thresholds for torch; give --threshold\n"


def test_a_missing_package_is_told_with_its_extra(model):
    code = """if True:
        import sys
        sys.modules["transformers"] = None
        from cascadebert.commands.main import main
        sys.exit(main(sys.argv[1:]))
    """
    command = [sys.executable, "-c", code, "explain", "--model", str(model), "a film"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 1
    said = "cascadebert: transformers is not installed; pip install 'cascadebert[torch]'\n"
    assert found.stderr == said
