"""FastBERT against its definition, computed by hand for one example at a time."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from cascadebert.encoders.loading import (
    load_config,
    load_encoder,
)
from cascadebert.encoders.shape import count_layer_flops
from cascadebert.models.fastbert import Head
from cascadebert.systems.fastbert import candidates
from cascadebert.systems.method import Run
from cascadebert.training.loop import Examples, train
from tests.tiny import SETTINGS, perturb, untrained

[CANDIDATE] = candidates({"encoder": "bert-4"}, [])
[STUDENTS] = CANDIDATE.runs
[TEACHER] = STUDENTS.parents


def test_all_layers_of_a_head_start_as_pytorchs_linear_layers(encoders):
    config = load_config(encoders["bert-4"])
    config.hidden_size = 768
    torch.manual_seed(0)
    head = Head(config, labels=2)
    width = 128  # of the head at BERT's width
    expected = {"narrow": 768**-0.5, "attention": width**-0.5, "dense": width**-0.5}
    for name, weight in head.named_parameters():
        bound = expected.get(name.split(".")[0], width**-0.5)
        assert weight.abs().max() <= bound
        if weight.numel() >= width:
            assert weight.abs().max() > 0.95 * bound
            assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def weights(module) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def by_hand(head: dict[str, np.ndarray], states: np.ndarray) -> np.ndarray:
    """The head on the states of one example without padding, `[tokens, width]`."""
    narrow = np.tanh(states @ head["narrow.weight"].T + head["narrow.bias"])
    projected = narrow @ head["attention.in_proj_weight"].T + head["attention.in_proj_bias"]
    heads = []
    queries, keys, values = (np.split(part, 2, axis=1) for part in np.split(projected, 3, axis=1))
    for query, key, value in zip(queries, keys, values, strict=True):
        scores = softmax(query @ key.T / np.sqrt(key.shape[1]), axis=1)
        heads.append(scores @ value)
    attended = np.concatenate(heads, axis=1)
    attended = attended @ head["attention.out_proj.weight"].T + head["attention.out_proj.bias"]
    dense = np.tanh(attended @ head["dense.weight"].T + head["dense.bias"])
    return (dense @ head["classify.weight"].T + head["classify.bias"])[0]  # of the first token


@pytest.mark.parametrize("encoder", ["bert-4", "distilbert-4"])
def test_every_exit_is_the_head_of_its_layer_whatever_the_padding(
    encoder, encoders, batch, tmp_path
):
    inputs, _ = batch
    [candidate] = candidates({"encoder": encoder}, [])
    model = untrained(*candidate.runs, encoders, tmp_path).eval()
    perturb(model)
    lengths = inputs["attention_mask"].sum(dim=1)
    assert len(set(lengths.tolist())) > 2
    with torch.no_grad():
        logits = model(inputs).numpy()
    heads = [*map(weights, model.heads), weights(model.backbone.head)]
    for i, length in enumerate(lengths):
        alone = {name: values[i : i + 1, :length] for name, values in inputs.items()}
        with torch.no_grad():
            outputs = model.backbone.encoder(**alone, output_hidden_states=True)
        for layer, head in enumerate(heads, start=1):
            states = outputs.hidden_states[layer][0].double().numpy()
            np.testing.assert_allclose(logits[i, layer - 1], by_hand(head, states), atol=1e-5)


@pytest.mark.parametrize("width", [128, 256, 384, 512, 768, 1024])
def test_a_head_works_a_fortieth_of_what_a_layer_does(width, encoders):
    """Table 1 of FastBERT: 46.1 of 1809.9 million operations for 128 tokens of width 768."""
    config = load_config(encoders["bert-4"])
    config.hidden_size, config.intermediate_size = width, 4 * width
    head = Head(config, 2)
    matrices = [p for p in head.parameters() if p.ndim == 2 and len(p) > 2]
    operations = 2 * 128 * sum(p.numel() for p in matrices)
    layer = (
        count_layer_flops(config, 128) - 4 * 128**2 * width
    )  # the table counts no attention scores
    assert operations / layer == pytest.approx(46.1 / 1809.9, rel=0.08)  # narrow widths are whole
    if width == 768:
        assert head.narrow.out_features == 128
        assert operations == pytest.approx(46.1e6, rel=0.002)


def test_students_learn_the_teachers_distribution_without_labels(encoders, batch, tmp_path):
    inputs, _ = batch
    model = untrained(STUDENTS, encoders, tmp_path).train()
    torch.manual_seed(0)
    logits, loss = model.objective(inputs, None, 0, 10)
    probabilities = softmax(logits.detach().double().numpy(), axis=-1)
    expected = 0.0
    for example in probabilities:
        *students, teacher = example
        for student in students:
            expected += sum(t * np.log(t / s) for t, s in zip(teacher, student, strict=True))
    assert loss.item() == pytest.approx(expected / len(probabilities), rel=1e-3)
    assert loss.item() > 1e-3
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.heads.parameters() if p.ndim == 2)
    assert all(p.grad is None for p in model.backbone.parameters())


def test_stage_one_trains_the_model_and_stage_two_the_students_alone(encoders, splits, tmp_path):
    examples = Examples(splits["train"], splits["dev"], "accuracy")

    def fit(run):
        model = untrained(run, encoders, tmp_path)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        train(model, examples, SETTINGS, seed=0, name=run.name)
        after = model.state_dict()
        return model, {name for name in before if not torch.equal(before[name], after[name])}

    model, changed = fit(TEACHER)
    assert model.depths == [4]
    assert {name.split(".")[0] for name in changed} == {"encoder", "head"}
    model, changed = fit(STUDENTS)
    assert model.depths == [1, 2, 3, 4]
    assert changed == {f"heads.{name}" for name in model.heads.state_dict()}


def test_the_last_exit_is_what_stage_one_trained(encoders, batch, tmp_path):
    inputs, _ = batch
    model = untrained(STUDENTS, encoders, tmp_path)
    teacher = untrained(TEACHER, encoders, tmp_path, seed=5).eval()
    teacher.load(tmp_path / TEACHER.name)
    with torch.no_grad():
        # the same while the students train: what is frozen has no dropout
        torch.testing.assert_close(model.train()(inputs)[:, -1:], teacher(inputs))
    # only the students are saved with the students
    model.save(tmp_path / "students")
    folders = (tmp_path / "students", tmp_path / TEACHER.name)
    size, whole = ((folder / "model.safetensors").stat().st_size for folder in folders)
    assert size < whole / 4


def test_the_runs_of_both_stages():
    assert Run("fastbert", "bert-4", (("stage", "teacher"),)) == TEACHER
    assert (TEACHER.name, STUDENTS.name) == ("fastbert-bert-4-stageteacher", "fastbert-bert-4")


def test_stage_one_starts_from_the_pre_trained_encoder(encoders, tmp_path):
    model = untrained(TEACHER, encoders, tmp_path)
    original = load_encoder(encoders["bert-4"]).state_dict()
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, original[name])
