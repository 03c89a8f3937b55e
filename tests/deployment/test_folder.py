"""A cascade as one folder: what is saved is what is loaded, and what is no cascade is told."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from cascadebert.core.errors import UserError
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.folder import Description, OperatingPoint
from tests.tiny import BAD, GOOD, NEUTRAL

TEXTS = [f"{word} {other}" for word in (*GOOD, *BAD) for other in NEUTRAL]


@pytest.fixture(scope="module")
def cascade(trained) -> Cascade:
    cascade = Cascade.from_pretrained(trained[0], 0.9, max_length=12)
    cascade.points = [
        OperatingPoint("torch", [0.9], 1.5),
        OperatingPoint("torch", [0.7], 2.0),
        OperatingPoint("onnx-int8", [0.8], 1.5),
    ]
    return cascade


@pytest.fixture(scope="module")
def saved(cascade, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "cascade"
    cascade.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return shutil.copytree(saved, tmp_path / "copy")


def test_a_saved_cascade_answers_as_before(cascade, saved, tmp_path):
    expected = cascade(TEXTS)
    loaded = Cascade.from_pretrained(saved)
    again = tmp_path / "again"
    loaded.save_pretrained(again)  # a copy of the folder
    for one in (loaded, Cascade.from_pretrained(again)):
        got = one(TEXTS)
        assert (got.exits == expected.exits).all()
        assert (got.probabilities == expected.probabilities).all()
        assert one.max_length == 12


def test_its_members_and_its_tokenizer_are_those_of_transformers(cascade, saved):
    """And its answers have the shape of a pipeline's."""
    model = AutoModelForSequenceClassification.from_pretrained(saved / "member-1")
    tokenizer = AutoTokenizer.from_pretrained(saved)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    got = Cascade.from_pretrained(saved, threshold=0.0)(TEXTS[:9])
    for kept, expected in (
        (got.as_pipeline(), classify(TEXTS[:9])),
        (got.as_pipeline(top_k=None), classify(TEXTS[:9], top_k=None)),
        (got.as_pipeline(top_k=2), classify(TEXTS[:9], top_k=2)),
    ):
        assert json.loads(json.dumps(kept)) == [
            {**one, "score": pytest.approx(one["score"], abs=1e-5)}
            if isinstance(one, dict)
            else [{**each, "score": pytest.approx(each["score"], abs=1e-5)} for each in one]
            for one in expected
        ]


def test_a_speed_up_chooses_its_thresholds(saved):
    assert Cascade.from_pretrained(saved).thresholds == [0.9]
    assert Cascade.from_pretrained(saved, speedup=2).thresholds == [0.7]
    assert Cascade.from_pretrained(saved, threshold=0.6).thresholds == [0.6]
    with pytest.raises(UserError, match=r"no speed-up on torch 3; choose from: 1\.5, 2$"):
        Cascade.from_pretrained(saved, speedup=3)
    with pytest.raises(UserError, match=r"member-1/model_int8\.onnx is missing; export"):
        Cascade.from_pretrained(saved, runtime="onnx-int8")


def test_thresholds_and_length_are_saved(trained, saved, tmp_path):
    for name, one in (
        ("joined", Cascade.from_pretrained(trained[0], 0.8, max_length=20)),
        ("by hand", Cascade.from_pretrained(saved, threshold=0.6, max_length=30)),
        ("faster", Cascade.from_pretrained(saved, speedup=2)),
    ):
        one.save_pretrained(tmp_path / name)
        loaded = Cascade.from_pretrained(tmp_path / name)
        assert loaded.thresholds == one.thresholds
        assert loaded.max_length == one.max_length
        assert loaded.points == [OperatingPoint("torch", one.thresholds), *one.points]
    again = Cascade.from_pretrained(tmp_path / "by hand", threshold=0.5)
    again.save_pretrained(tmp_path / "again")
    loaded = Cascade.from_pretrained(tmp_path / "again", speedup=1.5)
    assert loaded.thresholds == [0.9]
    assert loaded.points == [OperatingPoint("torch", [0.5]), *again.points[1:]]


def test_scores_and_promises_hold_for_one_length(trained, tmp_path):
    one = Cascade.from_pretrained(trained[0], 0.9, max_length=12)
    measured = {"test": {"n": 10, "score": 90.0, "speedup": 1.5}}
    promise = {"max_loss": 0.02, "delta": 0.1}
    one.points = [
        OperatingPoint("torch", [0.9], 1.5, measured=measured),
        OperatingPoint("torch", [0.95], promise=promise),
    ]
    one.save_pretrained(tmp_path / "one")
    same = Cascade.from_pretrained(tmp_path / "one", max_length=12, max_loss=0.02)
    assert (same.thresholds, same.points) == ([0.95], one.points)
    with pytest.raises(UserError, match="one promises for texts of 12 tokens, and not of 8; call"):
        Cascade.from_pretrained(tmp_path / "one", max_length=8, max_loss=0.02)
    (tmp_path / "one/README.md").write_text("---\nlicense: mit\n---\n\n# A cascade\n")
    same.save_pretrained(tmp_path / "same")
    assert (tmp_path / "same/README.md").read_text() == (tmp_path / "one/README.md").read_text()
    Cascade.from_pretrained(tmp_path / "one", max_length=8).save_pretrained(tmp_path / "short")
    front, note, title = (tmp_path / "short/README.md").read_text().split("\n\n")
    assert (front, title) == ("---\nlicense: mit\n---", "# A cascade\n")
    assert "at most 8 tokens. The scores and promises below were measured with 12" in note
    Cascade.from_pretrained(tmp_path / "short", max_length=6).save_pretrained(tmp_path / "shorter")
    again = (tmp_path / "shorter/README.md").read_text().split("\n\n")
    assert again == [front, note.replace("at most 8", "at most 6"), title]
    Cascade.from_pretrained(tmp_path / "short", max_length=12).save_pretrained(tmp_path / "back")
    assert (tmp_path / "back/README.md").read_text() == (tmp_path / "one/README.md").read_text()
    assert Description.load(tmp_path / "short").points == [OperatingPoint("torch", [0.9], 1.5)]
    with pytest.raises(UserError, match="max_length is 0; give a whole number above"):
        Cascade.from_pretrained(tmp_path / "one", max_length=0)


def test_onnx_runtime_has_the_thresholds_of_torch_for_other_aims():
    points = [
        OperatingPoint("onnx", [0.6]),
        OperatingPoint("onnx", [0.5], 2.0),
        OperatingPoint("torch", [0.9], 1.5),
        OperatingPoint("torch", [0.7], 2.0),
        OperatingPoint("onnx-int8", [0.8], 1.5),
    ]
    described = Description(["no", "yes"], 12, [], points)
    assert described.list_points("onnx") == points[:3]
    assert described.list_points("torch") == points[2:4]
    assert described.list_points("onnx-int8") == points[4:]


def test_members_with_tokenizers_of_their_own_keep_them(cascade, tmp_path):
    other = AutoTokenizer.from_pretrained(cascade.members[1].model.name_or_path)
    other.pad_token = "[UNK]"
    models = [member.model for member in cascade.members]
    two = Cascade(models, [cascade.tokenizers[0], other], 0.9, 12)
    two.save_pretrained(tmp_path / "two")
    assert not (tmp_path / "two/tokenizer.json").exists()
    loaded = Cascade.from_pretrained(tmp_path / "two", threshold=0.9)
    assert loaded.tokenizers[0] is not loaded.tokenizers[1]
    assert (loaded(TEXTS).probabilities == two(TEXTS).probabilities).all()


def test_a_cascade_without_thresholds_says_so(cascade, tmp_path):
    bare = Cascade([m.model for m in cascade.members], cascade.tokenizers, None, 12)
    bare.save_pretrained(tmp_path / "bare")
    for one in (bare, Cascade.from_pretrained(tmp_path / "bare")):
        with pytest.raises(UserError, match="no thresholds yet; call fit_thresholds, or give"):
            one(TEXTS)


def test_a_cascade_is_not_saved_in_its_own_folder(copy, monkeypatch):
    there = sorted(copy.rglob("*"))
    loaded = Cascade.from_pretrained(copy)
    with pytest.raises(UserError, match="is in the folder of the cascade; name one outside"):
        loaded.save_pretrained(copy / "tuned")
    monkeypatch.chdir(copy)
    with pytest.raises(UserError, match="is the folder where you are, or the root; name another"):
        loaded.save_pretrained(".")
    assert sorted(copy.rglob("*")) == there
    loaded.save_pretrained(copy)
    assert sorted(copy.rglob("*")) == there


def test_a_cascade_of_a_relative_folder_is_saved_from_another_one(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(copy.parent)
    loaded = Cascade.from_pretrained(copy.name)
    monkeypatch.chdir("/")
    loaded.save_pretrained(tmp_path / "moved")
    assert Cascade.from_pretrained(tmp_path / "moved").thresholds == loaded.thresholds


def test_other_files_are_not_replaced(cascade, saved, tmp_path):
    (tmp_path / "thesis.tex").write_text("all my work")
    with pytest.raises(UserError, match="is there, and holds no cascade; name another folder"):
        cascade.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is there, and holds no cascade"):
        cascade.save_pretrained(tmp_path / "thesis.tex")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UserError, match="link is there, and holds no cascade"):
        cascade.save_pretrained(tmp_path / "link")
    (tmp_path / "empty").mkdir()
    cascade.save_pretrained(tmp_path / "empty")
    cascade.save_pretrained(tmp_path / "empty")  # a cascade may be replaced
    assert (tmp_path / "thesis.tex").read_text() == "all my work"


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("", r"cascade\.json is damaged .*; export the cascade again"),
        ("[]", r"cascade\.json is damaged"),
        ('{"format": 1}', r"cascade\.json is damaged"),
        ('{"format": 9, "version": "7.0"}', r"written by version 7\.0 of cascadebert; install"),
    ],
)
def test_a_damaged_description_is_told(copy, damaged, message):
    (copy / "cascade.json").write_text(damaged)
    with pytest.raises(UserError, match=message):
        Cascade.from_pretrained(copy)


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_a_missing_member_is_told_and_not_looked_up_on_the_hub(copy, runtime, monkeypatch):
    monkeypatch.chdir(copy.parent)  # `copy/member-2` could be the name of a model of the hub
    (copy / "member-2").rename(copy / "elsewhere")
    with pytest.raises(UserError, match=r"/member-2 is missing, which cascade\.json names; copy"):
        Cascade.from_pretrained(copy.name, runtime=runtime)


def change(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_members_of_another_cascade_are_told(copy):
    labels = {"0": "no", "1": "yes"}
    change(copy / "member-2/config.json", id2label=labels)
    with pytest.raises(UserError, match=r"are \['no', 'yes'\], but those of the first"):
        Cascade.from_pretrained(copy)
    change(copy / "member-1/config.json", id2label=labels)
    with pytest.raises(UserError, match=r"but its cascade\.json says \['negative', 'positive'\]"):
        Cascade.from_pretrained(copy)


def test_a_tokenizer_that_does_not_fit_is_told(copy):
    described = json.loads((copy / "tokenizer.json").read_text())
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer\.json is missing or damaged"):
        Cascade.from_pretrained(copy)
    words = described["model"]["vocab"]
    words |= {f"new-{i}": len(words) + i for i in range(3)}
    (copy / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match=r"has a vocabulary of \d+, but its tokenizer one of"):
        Cascade.from_pretrained(copy)


def test_members_without_their_tokenizer_are_told(saved):
    """transformers would make a tokenizer that knows no word."""
    with pytest.raises(UserError, match=r"knows no word; does its folder have tokenizer\.json\?"):
        Cascade.from_pretrained([saved / "member-1", saved / "member-2"])


def test_what_is_no_cascade_is_told(tmp_path):
    (tmp_path / "config.yaml").write_text("experiment: x")
    with pytest.raises(UserError, match="if it holds the results of an experiment, write its"):
        Cascade.from_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"nowhere: there is no such folder; give that of an exp"):
        Cascade.from_pretrained(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"is one folder; give a list, .* or the folder of an exp"):
        Cascade.from_pretrained(tmp_path / "empty")
    with pytest.raises(UserError, match="no cascade of the hub that can be reached"):
        Cascade.from_pretrained("nobody/nothing")


def test_members_for_a_speed_up_need_thresholds_first(trained):
    with pytest.raises(UserError, match=r"call fit_thresholds\(\.\.\., speedup=\.\.\.\)"):
        Cascade.from_pretrained(trained[0], speedup=2)


@pytest.mark.slow
def test_importing_a_cascade_loads_no_torch():
    """Nor what `.[serve]` does not install; the commands that answer are imported, too."""
    code = """if True:
        import sys
        from cascadebert import Cascade
        from cascadebert.commands import explain, main, predict
        print(sorted({"torch", "transformers", "pandas", "snakemake", "yaml"} & set(sys.modules)))
    """
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "[]\n", found.stderr
