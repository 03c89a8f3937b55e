"""Vanilla KD and BERT-PKD against their definitions, in numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from transformers import AutoModelForSequenceClassification

from cascadebert.core.errors import UserError
from cascadebert.deployment.cascade import Cascade
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.models import kd
from cascadebert.systems import load_method
from cascadebert.training.loop import Examples, Regularisation, train
from tests.tiny import SETTINGS, perturb, untrained


def run_of(method, **options):
    [candidate] = load_method(method).candidates(options, [])
    [run] = candidate.runs
    return run


def kd_by_hand(student, teacher, gold, weight, temperature) -> float:
    """(1 - weight) CE + weight T² KL(teacher || student), example by example."""
    losses = []
    for own, its, label in zip(student, teacher, gold, strict=True):
        hard = -np.log(softmax(own)[label])
        p, q = softmax(its / temperature), softmax(own / temperature)
        soft = sum(p[c] * (np.log(p[c]) - np.log(q[c])) for c in range(len(p)))
        losses.append((1 - weight) * hard + weight * temperature**2 * soft)
    return np.mean(losses)


def arrays(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


@given(
    st.integers(0, 2**31),
    st.integers(2, 5),
    st.floats(0, 1),
    st.sampled_from([0.5, 1.0, 5.0, 20.0]),
)
def test_the_loss_is_cross_entropy_and_softened_divergence(seed, labels, weight, temperature):
    rng = np.random.default_rng(seed)
    student, teacher = rng.normal(scale=3, size=(2, 6, labels))
    gold = rng.integers(labels, size=6)
    loss = kd.distillation_loss(
        *map(torch.from_numpy, (student, teacher, gold)), weight, temperature
    )
    expected = kd_by_hand(student, teacher, gold, weight, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "weight", "temperature", "layers"),
    [
        ({"encoder": "bert-4", "layers": 2}, 0.7, 10, 2),
        ({"encoder": "bert-2"}, 0.7, 10, 2),  # a complete student: BERT-PD
        ({"encoder": "bert-2", "weight": 1.0, "temperature": 1}, 1.0, 1, 2),
        ({"encoder": "distilbert-4", "layers": 3, "temperature": 4}, 0.7, 4, 3),
    ],
)
def test_the_student_learns_what_the_teacher_answers(
    options, weight, temperature, layers, encoders, batch, tmp_path
):
    inputs, gold = batch
    run = run_of("kd", teacher="bert-4", **options)
    model = untrained(run, encoders, tmp_path)
    assert model.depths == [layers]
    # While the student trains with dropout, the teacher answers as the classifier that it is.
    teacher = AutoModelForSequenceClassification.from_pretrained(tmp_path / "finetune-bert-4")
    with torch.no_grad():
        taught = teacher.eval()(**inputs).logits
    torch.manual_seed(0)
    logits, loss = model.train().objective(inputs, gold, 0, 10)
    expected = kd_by_hand(*arrays(logits[:, 0], taught), gold.numpy(), weight, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert all(p.grad is not None for p in model.classifier.parameters())
    assert all(p.grad is None for p in model.teacher.parameters())


def test_a_student_is_a_member_of_a_cascade_and_takes_dar(encoders, splits, tmp_path):
    run = run_of("kd", encoder="bert-4", layers=1, teacher="bert-4")
    difficult = np.random.default_rng(0).random(len(splits["train"])) < 0.3

    def fit(regularisation=None):
        model = untrained(run, encoders, tmp_path)
        before = {name: value.clone() for name, value in model.teacher.state_dict().items()}
        settings = replace(SETTINGS, difficulty_weight=0.5)
        examples = Examples(splits["train"], splits["dev"], "accuracy")
        train(model, examples, settings, seed=0, name=run.name, regularisation=regularisation)
        after = model.teacher.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        return model

    plain, regularised = fit(), fit(Regularisation(difficult, margin=0.3))
    heads = [model.classifier.classifier.weight for model in (plain, regularised)]
    assert not torch.equal(*heads)
    folders = [tmp_path / "student", tmp_path / "finetune-bert-4"]
    regularised.save(folders[0])
    tokenizer = load_tokenizer(encoders["bert-4"])
    for folder in folders:
        tokenizer.save_pretrained(folder)
    answers = Cascade.from_pretrained(folders, 0.0)(["a warm film", "a dull plot"])
    assert answers.layers.tolist() == [1, 1]
    with torch.no_grad():
        inputs = tokenizer(["a warm film", "a dull plot"], return_tensors="pt")
        direct = regularised.eval()(inputs).softmax(dim=-1)
    np.testing.assert_allclose(answers.confidence, direct.amax(dim=-1)[:, 0], atol=1e-6)


def test_runs_of_other_teachers_and_options_have_other_names():
    entries = [
        {"encoder": "a", "teacher": "b"},
        {"encoder": "a", "teacher": "c"},
        {"encoder": "a", "teacher": "b", "layers": 2},
        {"encoder": "a", "teacher": "b", "temperature": 2},
        {"encoder": "a", "teacher": "b", "weight": 0.5},
    ]
    names = [run_of("kd", **entry).name for entry in entries]
    assert names[:3] == ["kd-a-teacherb", "kd-a-teacherc", "kd-a-layers2-teacherb"]
    assert len(set(names)) == len(entries)
    assert run_of("kd", layers=2, teacher="b", encoder="a") == run_of("kd", **entries[2])
    assert run_of("pkd", encoder="a", layers=4).name == "pkd-a-layers4"
    assert run_of("pkd", encoder="a", layers=4, beta=10).name == "pkd-a-beta10-layers4"


@pytest.mark.parametrize(
    ("encoder", "layers", "pairs"),
    [
        ("bert-12", 4, {1: 3, 2: 6, 3: 9}),
        ("bert-12", 6, {1: 2, 2: 4, 3: 6, 4: 8, 5: 10}),
        ("bert-12", 3, {1: 4, 2: 8}),
        ("distilbert-4", 2, {1: 2}),
    ],
)
def test_patient_students_learn_equally_spaced_states(
    encoder, layers, pairs, encoders, batch, tmp_path
):
    inputs, gold = batch
    run = run_of("pkd", encoder=encoder, layers=layers, beta=500, temperature=5, weight=0.5)
    model = untrained(run, encoders, tmp_path).eval()
    perturb(model)
    logits, loss = model.objective(inputs, gold, 0, 10)
    with torch.no_grad():
        own, its = (
            m(**inputs, output_hidden_states=True) for m in (model.classifier, model.teacher)
        )
    squares = []
    for mine, taught in pairs.items():
        for i in range(12):
            a, b = arrays(own.hidden_states[mine][i, 0], its.hidden_states[taught][i, 0])
            squares += ((a / np.sqrt((a**2).sum()) - b / np.sqrt((b**2).sum())) ** 2).tolist()
    expected = kd_by_hand(*arrays(own.logits, its.logits), gold.numpy(), 0.5, 5)
    assert 500 * np.mean(squares) > 1
    assert loss.item() == pytest.approx(expected + 500 * np.mean(squares), rel=1e-4)
    torch.testing.assert_close(logits[:, 0], own.logits)
    loss.backward()
    assert all(p.grad is not None for p in model.classifier.parameters())
    assert all(p.grad is None for p in model.teacher.parameters())


def test_a_patient_student_starts_from_the_pre_trained_layers(encoders, tmp_path):
    model = untrained(run_of("pkd", encoder="bert-4", layers=2), encoders, tmp_path)
    start = AutoModelForSequenceClassification.from_pretrained(encoders["bert-4"])
    for i in range(2):
        for one, other in zip(
            model.classifier.bert.encoder.layer[i].parameters(),
            start.bert.encoder.layer[i].parameters(),
            strict=True,
        ):
            assert torch.equal(one, other)


def test_layers_without_equally_spaced_ones_are_refused(encoders, tmp_path):
    with pytest.raises(UserError, match=r"pkd-bert-4-layers3: .*has to divide 4"):
        untrained(run_of("pkd", encoder="bert-4", layers=3), encoders, tmp_path)
