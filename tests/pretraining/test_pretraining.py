import gzip
import json
import lzma
import shutil

import datasets
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer

from cascadebert.core.errors import UserError
from cascadebert.encoders.loading import list_untrained, load_encoder
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.pretraining import corpus, encoder, family, loop, objectives
from cascadebert.pretraining.loop import Lesson, Schedule
from cascadebert.pretraining.objectives import Weights
from cascadebert.pretraining.student import (
    Student,
    check_start,
    has_trained_pooler,
    make_encoder_config,
    start_from_shallower,
    start_from_teacher,
    start_words_from_teacher,
)
from cascadebert.pretraining.teacher import (
    Outputs,
    Space,
    Teacher,
    align_states,
    compute_outputs,
    fit_space,
    save_shard,
)
from cascadebert.pretraining.vocabulary import (
    Tokens,
    read_sentences,
    train_wordpiece,
    write_sentences,
)
from cascadebert.training.checkpoint import Checkpoint
from tests.experiment.test_experiment import DEFAULT, ROOT
from tests.tiny import BAD, GOOD, NEUTRAL

pytestmark = pytest.mark.slow

SHAPE = {"width": 16, "heads": 2, "intermediate": 32, "positions": 64}
OF_TEACHER = {"width": 32, "heads": 2, "intermediate": 64, "positions": 66}


def prose(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    words = np.array(GOOD + BAD + NEUTRAL)
    return [
        " ".join(draw.choice(words, draw.integers(4, 14))).capitalize() + "." for _ in range(count)
    ]


# Corpus


def test_reads_every_format(tmp_path):
    documents = ["One film. It was good!", "Zwei Filme, schön und gut."]
    text = "".join(f"{document}\n" for document in documents)
    rows = "".join(json.dumps({"body": document}) + "\n\n" for document in documents)
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as stream:
        stream.write(text)
    with lzma.open(tmp_path / "c.jsonl.xz", "wt", encoding="utf-8") as stream:
        stream.write(rows)
    for name in ("a.txt", "b.txt.gz", "c.jsonl.xz"):
        found = [d.strip() for d in corpus.read_documents(tmp_path / name, "body")]
        assert found == documents


def test_reads_zstandard(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "a.txt.zst").write_bytes(zstandard.compress(b"One film.\n"))
    assert list(corpus.read_documents(tmp_path / "a.txt.zst")) == ["One film.\n"]
    (tmp_path / "a.txt.zst").write_bytes(b"not compressed")
    with pytest.raises(UserError, match=r"a\.txt\.zst, after line 0: cannot be read"):
        list(corpus.read_documents(tmp_path / "a.txt.zst"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff\xfe\x00binary", "not UTF-8"),
        ("a.txt", b"text\nand \x00 zeros\n", "line 2: zero bytes"),
        ("a.txt.gz", b"not compressed", "cannot be read"),
        ("a.txt.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "cannot be read"),
        ("a.txt.xz", lzma.compress(b"words " * 1000)[:50], "cannot be read"),
        ("a.jsonl", b'{"text": "fine"}\nnot json\n', "line 2"),
        ("a.jsonl", b'{"body": "fine"}\n', "line 1: no JSON object with the field 'text'"),
        ("a.jsonl", b'{"text": 3}\n', "not a string"),
        ("a.jsonl", b'{"text": "\\ud83d"}\n', "line 1: half of a surrogate pair"),
    ],
)
def test_refuses_what_is_not_text(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        list(corpus.read_documents(tmp_path / name))
    assert name in str(error.value)


def test_a_corpus_of_the_hub_that_cannot_be_reached_is_named():
    with pytest.raises(UserError, match=r"data set nobody/words \(plain\) could not be loaded"):
        corpus.read_hub_documents("nobody/words", "plain", "train", "text")


def test_documents_of_a_data_set_are_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [{"text": "One film.", "stars": 3}, {"text": None, "stars": 1}]
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(corpus.read_hub_documents(str(folder), None, "train", "text")) == ["One film."]
    with pytest.raises(UserError, match=f"data set {folder}: column 'stars' .* no text"):
        corpus.read_hub_documents(str(folder), None, "train", "stars")


def test_refuses_an_empty_corpus(tmp_path):
    (tmp_path / "a.txt").write_text("\n \n")
    with pytest.raises(UserError, match="empty"):
        corpus.sample_corpora([{"file": str(tmp_path / "a.txt")}], 0)
    with pytest.raises(UserError, match="does not exist"):
        corpus.sample_corpora([{"file": str(tmp_path / "none.txt")}], 0)
    (tmp_path / "b.txt").write_text("A sentence that is there twice.")
    with pytest.raises(UserError, match=r"b\.txt adds no sentence: .* corpora before it"):
        corpus.sample_corpora([{"file": str(tmp_path / "b.txt")}] * 2, 0)


def test_splits_at_sentence_ends():
    document = 'It was good!<br />"Was it?" Mr. X paid 3.50 for it. (Not bad.) Then we left.'
    assert list(corpus.split_sentences([document], 1, 99)) == [
        "It was good!",
        '"Was it?',
        "Mr.",
        "X paid 3.50 for it.",
        "(Not bad.",
        "Then we left.",
    ]


def test_samples_are_distinct_limited_and_repeatable(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(prose(200) + prose(200)))
    (tmp_path / "b.txt").write_text("\n".join(prose(200, seed=1)))
    entries = [
        {"file": str(tmp_path / "a.txt"), "sentences": 50},
        {"file": str(tmp_path / "b.txt")},
    ]
    found = corpus.sample_corpora(entries, 3)
    assert found == corpus.sample_corpora(entries, 3)
    assert found != corpus.sample_corpora(entries, 4)
    assert len(found) == len(set(found)) == 250


def test_sentences_survive_writing(tmp_path):
    sentences = ["One.", "Zwei: schön.", "Three\u2028lines? No."]
    write_sentences(tmp_path / "s.txt", sentences)
    assert read_sentences(tmp_path / "s.txt") == sentences


# Vocabulary


def test_vocabulary_has_the_size_asked_for_and_is_the_same_every_time():
    sentences = prose(300)
    one, other = (train_wordpiece(sentences, 120, 64) for _ in range(2))
    assert len(one) == 120
    assert one.get_vocab() == other.get_vocab()
    assert one.tokenize("SUPERB") == one.tokenize("superb") == ["superb"]
    with pytest.raises(UserError, match="too small for a vocabulary of 5000"):
        train_wordpiece(sentences, 5000, 64)


def test_tokens_are_those_of_the_tokenizer(tmp_path):
    sentences = prose(30)
    tokenizer = train_wordpiece(sentences * 10, 120, 64)
    tokens = Tokens.of(sentences, tokenizer, 8)
    tokens.save(tmp_path / "t.npz")
    tokens = Tokens.load(tmp_path / "t.npz")
    assert len(tokens) == 30
    assert tokens.lengths.max() == 8
    for i, sentence in enumerate(sentences):
        expected = tokenizer(sentence, truncation=True, max_length=8)["input_ids"]
        assert tokens.ids[tokens.starts[i] : tokens.starts[i + 1]].tolist() == expected


# Teacher

spans = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 4)).map(lambda s: (s[0], s[0] + s[1])),
    min_size=1,
    max_size=6,
)


@given(spans, spans)
@settings(max_examples=60)
def test_alignment_is_the_mean_over_shared_characters(teacher, student):
    states = np.random.default_rng(0).normal(size=(len(teacher), 3))
    found = align_states(states, np.array(teacher), np.array(student))
    for span, vector in zip(student, found, strict=True):
        sharing = [i for i, s in enumerate(teacher) if set(range(*s)) & set(range(*span))]
        expected = states[sharing].mean(axis=0) if sharing else np.zeros(3)
        np.testing.assert_allclose(vector, expected, atol=1e-12)


def save_tokenizer(folder, kind):
    """Saves a tokenizer that pads on the left, or whose tokens begin with the space before them."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if kind == "with spaces":
        tokenizer = AutoTokenizer.from_pretrained(folder)
        special = tokenizer.all_special_tokens
        ids = tokenizer.get_vocab().items()
        spaced = {word if word in special else f"\u2581{word}": i for word, i in ids}
        tokenizer.backend_tokenizer.model = models.WordLevel(spaced, unk_token="[UNK]")
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("name", ["bert-4", "roberta-3"])
@pytest.mark.parametrize("kind", ["plain", "left", "with spaces"])
def test_outputs_are_the_teachers_states_at_the_students_tokens(encoders, name, kind, tmp_path):
    """With the teacher's own tokenizer every token's target is its own state."""
    sentences = [s.rstrip(".") for s in prose(20)]
    folder = shutil.copytree(encoders[name], tmp_path / name)
    if kind != "plain":
        save_tokenizer(folder, kind)
    teacher = Teacher(str(folder), 2, "the film ", "fp32", "cpu")
    space = fit_space(teacher, sentences, 8, 64)
    np.testing.assert_allclose(space.axes.T @ space.axes, np.eye(8), atol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(encoders[name])
    vectors, words = compute_outputs(teacher, space, sentences, tokenizer, 64)
    model = AutoModel.from_pretrained(encoders[name]).eval()
    start = 0
    for sentence, vector in zip(sentences, vectors, strict=True):
        encoded = tokenizer("the film " + sentence, return_tensors="pt")
        with torch.no_grad():
            states = model(**encoded, output_hidden_states=True).hidden_states[2][0].numpy()
        np.testing.assert_allclose(vector, states.mean(axis=0) - space.sentence_mean, atol=5e-3)
        expected = (states[3:-1] - space.token_mean) @ space.axes
        length = len(expected) + 2
        np.testing.assert_allclose(words[start + 1 : start + length - 1], expected, atol=5e-3)
        assert not words[start].any()
        assert not words[start + length - 1].any()
        start += length
    assert start == len(words)


@pytest.mark.parametrize("kind", [Space, Tokens])
@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 cut", None])
def test_a_damaged_or_another_file_is_named(kind, content, tmp_path):
    path = tmp_path / "stored.npz"
    np.savez(path, others=np.zeros(3)) if content is None else path.write_bytes(content)
    message = r"stored\.npz is damaged or no (space|tokens) file \(.*\); delete it and run again"
    with pytest.raises(UserError, match=message):
        kind.load(path)


@pytest.mark.parametrize("name", ["sentences.npy", "tokens.npy"])
@pytest.mark.parametrize("length", [0, 20, 135, None])
def test_a_damaged_shard_is_named(name, length, tmp_path):
    starts = np.array([0, 4, 9])
    folder = tmp_path / "0000"
    save_shard(folder, np.zeros((2, 3), np.float16), np.zeros((9, 2), np.float16))
    assert Outputs([folder], 2, starts).read_words(1).shape == (5, 2)
    path = folder / name
    np.save(path, np.zeros(3)) if length is None else path.write_bytes(path.read_bytes()[:length])
    message = r"0000 is damaged or no folder of a teacher's outputs \(.*\); delete it and run again"
    with pytest.raises(UserError, match=message):
        Outputs([folder], 2, starts)


# Objectives


@given(st.integers(0, 5))
@settings(max_examples=5)
def test_masking_chooses_fifteen_in_a_hundred_of_what_may_be_masked(seed):
    ids = torch.full((200, 50), 7)
    maskable = torch.arange(50).expand(200, 50) > 9
    generator = torch.Generator().manual_seed(seed)
    corrupted, chosen = objectives.mask_words(ids, maskable, 4, 1000, generator)
    assert not chosen[:, :10].any()
    assert 0.13 < chosen[:, 10:].float().mean() < 0.17
    assert (corrupted[~chosen] == 7).all()
    assert 0.75 < (corrupted[chosen] == 4).float().mean() < 0.85


# Training


@pytest.fixture(scope="module")
def corpus_of_tokens(encoders, tmp_path_factory):
    """A tokenized corpus, the teacher's outputs for it in two shards, and the tokenizer."""
    folder = tmp_path_factory.mktemp("outputs")
    sentences = prose(240)
    tokenizer = train_wordpiece(sentences, 120, 64)
    tokens = Tokens.of(sentences, tokenizer, 32)
    teacher = Teacher(encoders["bert-4"], 3, "", "fp32", "cpu")
    fit_space(teacher, sentences[:100], 16, 32).save(folder / "space.npz")
    space = Space.load(folder / "space.npz")
    for i in range(2):
        part = sentences[i * 150 : (i + 1) * 150]
        save_shard(folder / str(i), *compute_outputs(teacher, space, part, tokenizer, 32))
    return tokens, Outputs([folder / "0", folder / "1"], 150, tokens.starts), tokenizer


def student(corpus_of_tokens, layers: int, weights: Weights) -> Student:
    _, outputs, tokenizer = corpus_of_tokens
    torch.manual_seed(layers)
    config = make_encoder_config(tokenizer, layers, SHAPE)
    return Student(
        config,
        outputs.width if weights.sentence else None,
        outputs.components if weights.words else None,
        weights.mlm > 0,
    )


def trained(corpus_of_tokens, state, weights=Weights(1.0, 1.0, 1.0), **schedule):  # noqa: B008
    tokens, outputs, tokenizer = corpus_of_tokens
    model = student(corpus_of_tokens, 1, weights)
    schedule = Schedule(
        **{"tokens": 20_000, "batch_tokens": 512, "learning_rate": 1e-3, "held_out": 20} | schedule
    )
    checkpoint = Checkpoint(state, seconds=0)
    lesson = Lesson(
        tokens=tokens,
        outputs=outputs,
        weights=weights,
        pad_id=tokenizer.pad_token_id,
        mask_id=tokenizer.mask_token_id,
    )
    progress = loop.train(model, lesson, schedule, seed=0, checkpoint=checkpoint)
    return model, progress


def test_every_objective_is_learnt(corpus_of_tokens, tmp_path):
    _, progress = trained(
        corpus_of_tokens, tmp_path / "state", tokens=60_000, learning_rate=5e-3, evaluate_every=50
    )
    first, last = progress.curve[0], progress.curve[-1]
    assert last["tokens"] >= 60_000
    for name in ("mlm", "sentence", "words"):
        assert last[name] < 0.9 * first[name], name


@pytest.mark.parametrize("name", ["mlm", "sentence", "words"])
def test_each_objective_works_alone(corpus_of_tokens, tmp_path, name):
    _, progress = trained(corpus_of_tokens, tmp_path / "state", Weights(**{name: 1.0}), tokens=2000)
    assert set(progress.curve[-1]) == {"tokens", name}


def test_an_interrupted_training_ends_with_the_same_weights(
    corpus_of_tokens, tmp_path, monkeypatch
):
    whole, progress = trained(corpus_of_tokens, tmp_path / "whole")
    total, calls = objectives.weigh_losses, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == progress.step // 2:
            raise KeyboardInterrupt
        return total(*arguments)

    monkeypatch.setattr(objectives, "weigh_losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(corpus_of_tokens, tmp_path / "state")
    resumed, again = trained(corpus_of_tokens, tmp_path / "state")
    assert 0 < len(calls) - progress.step // 2 < progress.step
    assert again == progress
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@given(st.lists(st.integers(2, 40), min_size=12, max_size=300), st.integers(0, 3))
@settings(max_examples=30)
def test_an_epoch_holds_every_sentence_once_within_the_budget(lengths, seed):
    lengths = np.array(lengths)
    found = loop.make_batches(lengths, 5, 100, seed)
    assert sorted(np.concatenate(found)) == list(range(5, len(lengths)))
    assert all(len(rows) * lengths[rows].max() <= 100 for rows in found)
    again = loop.make_batches(lengths, 5, 100, seed)
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))


def test_the_learning_rate_rises_and_falls():
    schedule = Schedule(1000, batch_tokens=10, learning_rate=2.0, held_out=1, warmup=0.1)
    assert [schedule.find_rate(n) for n in (0, 50, 100, 550, 1000, 1100)] == pytest.approx(
        [0, 1, 2, 1, 0, 0]
    )


def test_deeper_models_start_from_the_layers_of_shallower_ones(corpus_of_tokens):
    """Copies that add a part each nearly add up to the layer that they were copied from."""
    weights = Weights(1.0, 1.0, 1.0)
    old = student(corpus_of_tokens, 2, weights).eval()
    for layer in old.encoder.encoder.layer:
        for part in (layer.attention.output.dense, layer.output.dense):
            torch.nn.init.normal_(part.weight, std=0.1)
    fresh = student(corpus_of_tokens, 5, weights).eval()
    new = student(corpus_of_tokens, 5, weights).eval()
    start_from_shallower(new, old)
    for i, origin in enumerate([0, 0, 0, 1, 1]):
        one, other = new.encoder.encoder.layer[i], old.encoder.encoder.layer[origin]
        assert torch.equal(one.intermediate.dense.weight, other.intermediate.dense.weight)
        share = 1 / [3, 2][origin]
        torch.testing.assert_close(one.output.dense.weight, other.output.dense.weight * share)
    assert torch.equal(new.to_token.weight, old.to_token.weight)
    tokens, outputs, tokenizer = corpus_of_tokens
    batch = loop.collate(np.arange(20), tokens, outputs, tokenizer.pad_token_id, "cpu")

    def states(model):
        out = model.encoder(input_ids=batch["ids"], attention_mask=batch["mask"])
        return out.last_hidden_state[batch["mask"].bool()]

    with torch.no_grad():
        near, far = ((states(model) - states(old)).square().mean() for model in (new, fresh))
    assert near < 0.1 * far


def test_words_start_as_the_teachers_mean_states(corpus_of_tokens):
    tokens, outputs, tokenizer = corpus_of_tokens
    model = student(corpus_of_tokens, 1, Weights(words=1.0))
    start_words_from_teacher(model, tokens, outputs, range(10, 60))
    word = tokenizer.convert_tokens_to_ids("superb")
    states = np.concatenate([outputs.read_words(i) for i in range(10, 60)])
    there = tokens.ids[tokens.starts[10] : tokens.starts[60]] == word
    mean = states[there].astype(float).mean(axis=0)
    vector = model.encoder.embeddings.word_embeddings.weight[word].detach().numpy()
    assert np.corrcoef(mean, vector)[0, 1] > 0.999


@pytest.fixture(scope="module")
def copied_teacher(encoders, tmp_path_factory):
    """A teacher whose tokenizer is the student's: its encoder, space, tokens, outputs."""
    folder = tmp_path_factory.mktemp("copied")
    sentences = prose(240)
    teacher = Teacher(encoders["bert-4"], None, "", "fp32", "cpu")
    space = fit_space(teacher, sentences, 32, 32)
    tokens = Tokens.of(sentences, teacher.tokenizer, 32)
    save_shard(folder / "0", *compute_outputs(teacher, space, sentences, teacher.tokenizer, 32))
    return teacher, space, tokens, Outputs([folder / "0"], 240, tokens.starts)


def started(copied_teacher, layers: int) -> Student:
    teacher, space, _, outputs = copied_teacher
    config = make_encoder_config(teacher.tokenizer, layers, OF_TEACHER)
    new = Student(config, outputs.width, outputs.components, has_mlm_head=False)
    start_from_teacher(new, teacher.model, space)
    return new


def test_a_student_starts_as_evenly_spaced_layers_of_the_teacher(copied_teacher):
    theirs = copied_teacher[0].model
    for layers, origins in ((1, [3]), (2, [1, 3]), (3, [0, 1, 3]), (4, [0, 1, 2, 3])):
        new = started(copied_teacher, layers).encoder
        pairs = [
            (new.embeddings, theirs.embeddings),
            (new.pooler, theirs.pooler),
            *((new.encoder.layer[i], theirs.encoder.layer[j]) for i, j in enumerate(origins)),
        ]
        for ours, their in pairs:
            for name, value in their.state_dict().items():
                assert torch.equal(ours.state_dict()[name], value), (layers, name)


def test_a_student_with_all_layers_starts_with_the_teachers_outputs(copied_teacher):
    """Targets lie along the teacher's principal axes, so what maps the states to them must too."""
    _, _, tokens, outputs = copied_teacher
    batch = loop.collate(np.arange(20), tokens, outputs, 0, "cpu")
    new = started(copied_teacher, 4).eval()

    @torch.no_grad()
    def of_words():
        return objectives.compute_losses(new, batch, Weights(words=1.0))["words"]

    assert of_words() < 1e-5
    with torch.no_grad():
        states = new.encoder(input_ids=batch["ids"], attention_mask=batch["mask"])[0]
        mask = batch["mask"].unsqueeze(-1)
        vectors = new.to_sentence((states * mask).sum(1) / mask.sum(1))
    torch.testing.assert_close(vectors, batch["sentence"], atol=2e-3, rtol=0)
    torch.nn.init.eye_(new.to_token.weight)
    assert of_words() > 0.5


def test_a_student_deeper_than_its_teacher_is_refused(copied_teacher):
    with pytest.raises(UserError, match=r"depths: 5 layers .* the teacher's 4"):
        started(copied_teacher, 5)


@pytest.mark.parametrize(
    ("teacher", "changed", "message"),
    [
        ("bert-4", {"width": 16}, r"encoder\.width is 16, but 32 in the teacher"),
        ("bert-4", {"heads": 4}, r"encoder\.heads is 4, but 2"),
        ("bert-4", {"intermediate": 128}, r"encoder\.intermediate is 128, but 64"),
        ("bert-4", {"positions": 64}, r"encoder\.positions is 64, but 66"),
        ("roberta-3", {}, r"pretraining\.start: .* is another model \(roberta\)"),
    ],
)
def test_only_a_student_of_the_teachers_shape_can_start_as_it(encoders, teacher, changed, message):
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert-4"])
    check_start(OF_TEACHER, tokenizer, encoders["bert-4"])
    with pytest.raises(UserError, match=message):
        check_start(OF_TEACHER | changed, tokenizer, encoders[teacher])


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("teacher", r"pretraining: 'teacher' is a required"),
        ("from", r"vocabulary: 'from' is"),
    ],
)
def test_a_start_as_the_teacher_needs_one_and_its_vocabulary(missing, message):
    path = ROOT / "config" / "distilbert.yaml"
    config = resolve(DEFAULT, yaml.safe_load(path.read_text()))
    Experiment(config)
    if missing == "teacher":
        del config["pretraining"]["teacher"]
        config["pretraining"]["objectives"] = {"mlm": 1.0}
    else:
        config["pretraining"]["vocabulary"] = {"size": 8000}
    with pytest.raises(UserError, match=message):
        Experiment(config)


def test_only_a_student_of_the_teachers_vocabulary_can_start_as_it(encoders, tmp_path):
    write_sentences(tmp_path / "sentences.txt", prose(240))
    settings = {
        "vocabulary": {"size": 120},
        "encoder": OF_TEACHER,
        "max_tokens": 32,
        "held_out": 20,
        "start": "teacher",
        "teacher": {"model": encoders["bert-4"]},
    }
    files = [tmp_path / name for name in ("sentences.txt", "tokenizer", "tokens.npz")]
    with pytest.raises(UserError, match=r"pretraining\.vocabulary is not the vocabulary of"):
        family.make_vocabulary(settings, *files)
    family.make_vocabulary(settings | {"vocabulary": {"from": encoders["bert-4"]}}, *files)
    assert len(Tokens.load(files[2])) == 240


def test_written_models_load_as_float32_and_say_the_same(corpus_of_tokens, tmp_path):
    model = student(corpus_of_tokens, 2, Weights(words=1.0)).eval()
    encoder.write_model(model.encoder, corpus_of_tokens[2], tmp_path / "model", has_pooler=True)
    loaded = AutoModel.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    batch = tokenizer(["The film is superb."], return_tensors="pt")
    assert loaded.dtype == torch.float32
    assert loaded.config.hidden_dropout_prob == 0.1
    with torch.no_grad():
        one, other = (m(**batch).pooler_output for m in (model.encoder, loaded))
    torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


def test_a_pooler_that_was_not_trained_is_left_out(corpus_of_tokens, encoders, tmp_path):
    bare = shutil.copytree(encoders["bert-4"], tmp_path / "bare")
    weights = load_file(bare / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("pooler.")}
    assert len(kept) == len(weights) - 2
    save_file(kept, bare / "model.safetensors", {"format": "pt"})
    for objective, teacher, has_pooler in [
        ("mlm", None, False),
        ("sentence", None, True),
        ("mlm", encoders["bert-4"], True),
        ("mlm", str(bare), False),
    ]:
        start = {"start": "teacher", "teacher": {"model": teacher}} if teacher else {}
        assert has_trained_pooler({"objectives": {objective: 1.0}, **start}) == has_pooler
    model = student(corpus_of_tokens, 2, Weights(mlm=1.0)).eval()
    encoder.write_model(model.encoder, corpus_of_tokens[2], tmp_path / "model", has_pooler=False)
    loaded = load_encoder(tmp_path / "model")
    assert {name.partition(".")[0] for name in list_untrained(loaded)} == {"pooler"}
    embeddings = model.encoder.embeddings.word_embeddings.weight
    written = loaded.embeddings.word_embeddings.weight
    torch.testing.assert_close(written, embeddings, atol=2e-3, rtol=0)


def test_special_tokens_are_not_masked(corpus_of_tokens, tmp_path, monkeypatch):
    *_, tokenizer = corpus_of_tokens
    mask, hidden = objectives.mask_words, []

    def watch(ids, *arguments):
        corrupted, chosen = mask(ids, *arguments)
        hidden.append(ids[chosen])
        return corrupted, chosen

    monkeypatch.setattr(objectives, "mask_words", watch)
    trained(corpus_of_tokens, tmp_path / "state", Weights(mlm=1.0), tokens=2000)
    found = torch.cat(hidden)
    assert len(found) > 100
    assert not np.isin(found, [tokenizer.cls_token_id, tokenizer.sep_token_id]).any()


def test_a_loss_that_is_no_number_ends_the_training(corpus_of_tokens, tmp_path):
    with pytest.raises(UserError, match=r"held-out loss is .*nan.* learning rate is probably too"):
        trained(corpus_of_tokens, tmp_path / "state", learning_rate=1e30, evaluate_every=5)


def test_heads_must_divide_the_width(corpus_of_tokens):
    with pytest.raises(UserError, match="3 heads"):
        make_encoder_config(corpus_of_tokens[2], 2, SHAPE | {"heads": 3})


def test_a_shard_without_sentences_is_refused(tmp_path):
    write_sentences(tmp_path / "sentences.txt", prose(9))
    settings = {"teacher": {"model": "any", "shards": 4}, "max_tokens": 32, "precision": "fp32"}
    with pytest.raises(UserError, match="fewer shards"):
        family.make_outputs(settings, 3, tmp_path / "sentences.txt", None, None, tmp_path / "out")
