"""What the deployed cascade executes is what the stored logits say, example by example."""

import copy
import json
import math
import pickle
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.core.errors import UserError
from cascadebert.deployment.cascade import Cascade
from cascadebert.encoders.loading import READS_PAIRS, load_encoder, load_tokenizer
from cascadebert.evaluation.choice import choose_knob
from cascadebert.models.building import new_model
from cascadebert.systems.exits import CONFIDENCE, first_confident, speedup
from cascadebert.systems.method import Run
from tests.tiny import BAD, GOOD, NEUTRAL


@pytest.mark.parametrize("target", [0.8, 1.0, 1.5])
def test_executed_exits_are_the_computed_ones(trained, task, target):
    folders, predictions = trained
    threshold = choose_knob(predictions["dev"], CONFIDENCE, "accuracy", target, full_cost=4)
    stored = predictions["test"]
    computed = first_confident(stored.confidence, threshold)
    assert 0 < computed.mean() < 1  # both members answer something

    cascade = Cascade.from_pretrained(folders, threshold, max_length=64)
    ran = [[], []]  # how many texts each member was given
    for member, seen in zip(cascade.members, ran, strict=True):
        member.model.register_forward_pre_hook(
            lambda _, __, kwargs, seen=seen: seen.append(len(kwargs["input_ids"])), with_kwargs=True
        )
    answers = cascade(task.splits["test"]["text"].tolist(), batch_size=16)

    assert (answers.exits == computed).all()
    rows = np.arange(len(computed))
    assert (answers.labels == np.array(task.labels)[stored.predicted[rows, computed]]).all()
    np.testing.assert_allclose(answers.confidence, stored.confidence[rows, computed], atol=1e-5)
    assert (answers.layers == stored.costs[computed]).all()
    assert 4 / answers.layers.mean() == pytest.approx(speedup(computed, stored.costs, 4))
    assert [sum(seen) for seen in ran] == [len(computed), (computed == 1).sum()]


def test_members_with_one_tokenizer_encode_a_text_once(trained, encoders):
    cascade = Cascade.from_pretrained(trained[0], 0.9, max_length=64)
    assert cascade.tokenizers[0] is cascade.tokenizers[1]
    other = load_tokenizer(encoders["bert-2"])
    other.pad_token = "[UNK]"
    models = [member.model for member in cascade.members]
    two = Cascade(models, [cascade.tokenizers[0], other], 0.9, 64)
    assert two.tokenizers[0] is not two.tokenizers[1]
    assert (two(TEXTS).probabilities == cascade(TEXTS).probabilities).all()


def test_threads_may_ask_at_once(trained):
    """Also of a member that averages the states of a text's tokens."""
    cascade = Cascade.from_pretrained(trained[0], 1.0, max_length=64)  # all go on to the last
    batches = [[" ".join([word] * length) for word in (*GOOD, *BAD)] for length in range(1, 41)]
    alone = [cascade(texts).probabilities for texts in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            together = pool.map(lambda texts: cascade(texts).probabilities, batches)
            for expected, found in zip(alone, together, strict=True):
                np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_cascade_can_be_copied_and_sent_to_other_processes(trained, again):
    cascade = Cascade.from_pretrained(trained[0], 0.8, max_length=64)
    texts = [f"a {word} film" for word in (*GOOD, *BAD)]
    expected, found = cascade(texts), again(cascade)(texts)
    assert (found.exits == expected.exits).all()
    assert (found.probabilities == expected.probabilities).all()


def test_nobody_waits_when_everybody_left(trained):
    cascade = Cascade.from_pretrained(trained[0], threshold=0.0, max_length=64)
    cascade.members[1].model = None  # would fail if it were called
    assert (cascade(["a warm film", "a dull plot"]).exits == 0).all()


# --- What goes in ---

TEXTS = [f"{word} {other}" for word in (*GOOD[:5], *BAD[:5]) for other in NEUTRAL[:4]]


@pytest.fixture(scope="module")
def cascade(trained) -> Cascade:
    return Cascade.from_pretrained(trained[0], threshold=0.9, max_length=12)


@pytest.fixture(scope="module")
def answers(cascade) -> dict[str, dict]:
    """The answer to each text when it is asked for alone."""
    return {text: next(iter(cascade(text))) for text in TEXTS}


def check(asked: list[str], got, answers) -> None:
    assert len(got) == len(asked)
    for text, record in zip(asked, got, strict=True):
        alone = answers[text]
        assert (record["label"], record["exit"]) == (alone["label"], alone["exit"])
        assert record["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "array": np.array,
    "objects": lambda texts: np.array(texts, dtype=object),
    "dictionary's values": lambda texts: dict(enumerate(texts)).values(),
    "shuffled Series": lambda texts: pd.Series(texts, index=range(len(texts) + 5, 5, -1)),
    "filtered Series": lambda texts: pd.DataFrame({"text": ["x", *texts]}).iloc[1:]["text"],
    "Series of strings": lambda texts: pd.Series(texts, dtype="string"),
    "text as its index": lambda texts: pd.Series(texts, index=texts[::-1]),
}


@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=9),
    container=st.sampled_from(sorted(CONTAINERS)),
    batch_size=st.integers(1, 5),
)
def test_any_sequence_of_strings_is_answered_in_its_own_order(
    cascade, answers, texts, container, batch_size
):
    check(texts, cascade(CONTAINERS[container](texts), batch_size=batch_size), answers)


def test_one_text_has_one_answer_and_no_text_has_none(cascade, answers):
    check([TEXTS[3]], cascade(TEXTS[3]), answers)
    assert len(cascade("")) == 1
    none = cascade([])
    assert (len(none), none.probabilities.shape, list(none)) == (0, (0, 2), [])


NO_TEXTS = [None, b"bytes", 7, 1.5, math.nan, pd.NA, ["a", "list"], {"text": "x"}, Ellipsis]


@given(
    before=st.lists(st.sampled_from(TEXTS), max_size=4),
    bad=st.sampled_from(NO_TEXTS),
    after=st.lists(st.sampled_from(TEXTS), max_size=3),
)
def test_what_is_no_string_is_named_with_its_position(cascade, before, bad, after):
    with pytest.raises(UserError, match=rf"^texts\[{len(before)}\] is .*; give a string"):
        cascade([*before, bad, *after])


@given(text=st.text(st.characters(exclude_categories=[])))
def test_every_string_is_answered_or_refused(cascade, text):
    """Also empty ones, control characters, NULs, and halves of surrogate pairs."""
    if re.search("[\ud800-\udfff]", text):
        with pytest.raises(UserError, match=r"texts\[1\] has half of a surrogate pair"):
            cascade(["a", text])
    else:
        _, record = cascade(["a", text])
        assert sum(record["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "texts",
    [
        pd.DataFrame({"text": ["a warm film"]}),
        {"a warm film": 1},
        {"a warm film"},
        b"a warm film",
        np.array([["a warm film"]]),
        np.array("a warm film"),
        torch.zeros(2, 2),
        None,
        7,
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_what_is_no_sequence_of_strings_is_refused(cascade, texts):
    with pytest.raises(UserError, match=r"^texts: .*; give "):
        cascade(texts)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, None, "32", True])
def test_a_batch_holds_at_least_one_text(cascade, batch_size):
    with pytest.raises(UserError, match=r"^batch_size is .*from 1 on"):
        cascade(TEXTS, batch_size=batch_size)


@pytest.mark.parametrize("number", [np.int64(16), np.int32(16), np.uint8(16)])
def test_whole_numbers_of_numpy_are_whole_numbers(trained, number):
    cascade = Cascade.from_pretrained(trained[0], 0.9, max_length=number)
    assert len(cascade(TEXTS, batch_size=number)) == len(TEXTS)


def test_pairs_are_given_exactly_where_the_task_has_them(trained):
    cascade = Cascade.from_pretrained(trained[0], threshold=0.9, max_length=64)
    with pytest.raises(UserError, match="there are 2 texts, but 3 pairs"):
        cascade(TEXTS[:2], TEXTS[:3])
    with pytest.raises(UserError, match=r"^pairs\[1\] is None"):
        cascade(TEXTS[:2], [TEXTS[0], None])
    assert len(cascade(TEXTS[0], TEXTS[1])) == 1
    config = cascade.members[0].config
    setattr(config, READS_PAIRS, True)
    assert len(cascade(TEXTS[:2], TEXTS[:2])) == 2
    with pytest.raises(UserError, match="trained on pairs of texts; give `pairs`"):
        cascade(TEXTS)
    setattr(config, READS_PAIRS, False)
    assert len(cascade(TEXTS)) == len(TEXTS)
    with pytest.raises(UserError, match="trained on single texts; give no `pairs`"):
        cascade(TEXTS, TEXTS)


# --- What comes out ---


def test_answers_go_into_json_and_a_table(cascade):
    answers = cascade(TEXTS)
    records = json.loads(json.dumps(list(answers)))
    table = pd.DataFrame(records)
    assert table["label"].tolist() == answers.labels.tolist()
    assert table["confidence"].tolist() == answers.confidence.tolist()
    assert table["layers"].tolist() == answers.layers.tolist()
    assert set(answers.labels) == {"negative", "positive"}
    for record, row in zip(records, answers.probabilities, strict=True):
        assert record["probabilities"] == {"negative": row[0], "positive": row[1]}
        assert record["confidence"] == max(row)


def test_texts_that_were_cut_are_marked(cascade):
    fits = " ".join(["film"] * 10)  # and [CLS] and [SEP]
    answers = cascade(["film", fits, f"{fits} film", " ".join(["film"] * 5000)])
    assert answers.truncated.tolist() == [False, False, True, True]


def test_a_tokenizer_may_be_in_use_elsewhere(trained):
    """Encoding sets a tokenizer's limit of tokens, so two cascades must not share one."""
    long = " ".join(["film"] * 20)
    one = Cascade.from_pretrained(trained[0], 0.9, max_length=64)
    given = load_tokenizer(trained[0][0])
    before = given.backend_tokenizer.to_str()
    two = Cascade([member.model for member in one.members], [given, given], 0.9, max_length=6)
    assert two(long).truncated.all()
    assert given.backend_tokenizer.to_str() == before
    assert two.tokenizers[0] is two.tokenizers[1]


# --- What is no cascade ---


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (Path("one"), "one: there is no such folder; give that of an exported cascade"),
        (None, "folders: a NoneType is no sequence of folders; give a list"),
        (b"one", "folders: a bytes is no sequence"),
        ({"one", "two"}, "folders: a set is no sequence"),
        ({"one": 1}, "folders: a dict is no sequence"),
        (["one", None], r"folders\[1\] is None, a NoneType; give the path of a folder"),
        ([3], r"folders\[0\] is 3, a int; give the path"),
    ],
)
def test_what_is_no_list_of_folders_is_refused(folders, message):
    with pytest.raises(UserError, match=f"^{message}"):
        Cascade.from_pretrained(folders, 0.9)


def test_folders_may_come_one_by_one(trained):
    assert len(Cascade.from_pretrained(map(Path, trained[0]), 0.9, max_length=64).members) == 2


def test_labels_are_in_the_order_of_their_numbers(trained, tmp_path):
    """A config.json may have them in another, such as that of strings: 0, 1, 10, 2."""
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in trained[0]]

    def number(labels: dict[str, str]) -> Cascade:
        path = folders[0] / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"id2label": labels}))
        return Cascade.from_pretrained(folders, 0.9, max_length=64)

    same = number({"1": "positive", "0": "negative"})
    assert (same(TEXTS).labels == Cascade.from_pretrained(trained[0], 0.9, 64)(TEXTS).labels).all()
    with pytest.raises(UserError, match="those of the first member are"):
        number({"1": "negative", "0": "positive"})
    with pytest.raises(UserError, match="numbers the labels 1, 2; number them from 0"):
        number({"1": "negative", "2": "positive"})
    with pytest.raises(UserError, match=r"never fine-tuned for the 3 labels .* no classifier\."):
        number({"0": "negative", "1": "positive", "2": "neither"})


def test_labels_that_are_no_strings_become_strings(trained, tmp_path):
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in trained[0]]
    for path in (folder / "config.json" for folder in folders):
        named = {"id2label": {"0": False, "1": True}}
        path.write_text(json.dumps(json.loads(path.read_text()) | named))
    cascade = Cascade.from_pretrained(folders)
    cascade.fit_thresholds(TEXTS, ["False", "True"] * (len(TEXTS) // 2), max_loss=0.5)
    cascade.save_pretrained(tmp_path / "saved")
    assert Cascade.from_pretrained(tmp_path / "saved")(TEXTS).classes == ["False", "True"]


def test_members_must_agree_on_their_labels(trained, encoders, tmp_path):
    new_model(Run("finetune", "bert-4"), encoders["bert-4"], ["no", "yes"], (), 0).save(tmp_path)
    load_tokenizer(encoders["bert-4"]).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"are \['no', 'yes'\], but those of the first"):
        Cascade.from_pretrained([trained[0][0], tmp_path], 0.9, max_length=64)


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        (["toxic", "insult"], "multi_label_classification", "problem_type multi_label_classific"),
        (["score"], None, r"1 label in its config\.json"),
        (["score"], "regression", "problem_type regression"),
    ],
)
def test_classifiers_that_give_no_one_class_are_refused(encoders, tmp_path, labels, kind, message):
    new_model(Run("finetune", "bert-2"), encoders["bert-2"], labels, (), 0).save(tmp_path)
    load_tokenizer(encoders["bert-2"]).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"problem_type": kind}))
    with pytest.raises(UserError, match=f"gives a text no one class of several .*{message}"):
        Cascade.from_pretrained([tmp_path, tmp_path], 0.9, max_length=64)


def test_encoders_that_were_never_fine_tuned_are_no_members(trained, encoders, tmp_path):
    encoder = load_encoder(encoders["bert-2"])
    kept = {name: w for name, w in encoder.state_dict().items() if "pooler" not in name}
    without_pooler = shutil.copytree(encoders["bert-2"], tmp_path / "bert-2")
    encoder.save_pretrained(without_pooler, state_dict=kept)
    for folder in (encoders["bert-2"], without_pooler):
        with pytest.raises(UserError, match=r"bert-2 was never fine-tuned .* no classifier"):
            Cascade.from_pretrained([folder, trained[0][1]], 0.9)


def test_members_that_do_not_fit_are_refused(trained, encoders):
    folders = trained[0]
    for threshold in ([0.9, 0.8], [], math.nan, "high", [[0.9]]):
        with pytest.raises(UserError, match=r"^threshold is .*1 numbers"):
            Cascade.from_pretrained(folders, threshold, max_length=64)
    for max_length in (0, -1, 3, 1.5):
        with pytest.raises(UserError, match=r"max_length is .* above 3"):
            Cascade.from_pretrained(folders, 0.9, max_length)
    with pytest.raises(UserError, match=r"max_length is 67, but .* reads 66 tokens at most"):
        Cascade.from_pretrained(folders, 0.9, max_length=67)
    assert Cascade.from_pretrained(folders, 0.9).max_length == 66
    with pytest.raises(UserError, match="is one folder; give a list"):
        Cascade.from_pretrained(str(folders[0]), 0.9)
    members = Cascade.from_pretrained(folders, 0.9, max_length=64).members
    with pytest.raises(UserError, match="takes a list of members, and a list of their tokenizers"):
        Cascade(members[0], load_tokenizer(folders[0]), 0.9, 64)
    with pytest.raises(UserError, match="0 members and 0 tokenizers"):
        Cascade.from_pretrained([], 0.9)
    with pytest.raises(UserError, match="/nowhere: no such folder"):
        Cascade.from_pretrained(["/nowhere", folders[1]], 0.9)
    large = load_tokenizer(encoders["bert-2"])
    large.add_tokens(["unheard-of"])
    with pytest.raises(UserError, match=r"has a vocabulary of \d+, but its tokenizer one of"):
        Cascade(members, [large, large], 0.9, 64)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(trained, bad):
    cascade = Cascade.from_pretrained(trained[0], 0.9, max_length=64)
    bias = cascade.members[0].model.classifier.bias
    with torch.no_grad():
        bias[0] = bad
    with pytest.raises(UserError, match=r"member 1 of the cascade gives no number .* texts\[0\]"):
        cascade(TEXTS)
    with pytest.raises(UserError, match=r"classifier\.bias has weights that are infinite or no"):
        Cascade([member.model for member in cascade.members], cascade.tokenizers, 0.9, 64)
