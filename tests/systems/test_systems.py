"""Every system on encoders of several families: its exits, its objective, what training changes."""

import pkgutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification

from cascadebert import models, systems
from cascadebert.core.errors import UserError
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.encoders.loading import (
    compute_layer_cost,
    load_classifier,
    load_config,
    load_encoder,
)
from cascadebert.encoders.shape import count_layer_flops
from cascadebert.experiment.configuration import Experiment
from cascadebert.models.base import ExitModel
from cascadebert.models.building import new_model
from cascadebert.models.heads import FrozenExits, JointExits
from cascadebert.systems import find_methods, load_method
from cascadebert.systems.cascade import candidates as cascade_candidates
from cascadebert.systems.exits import ExitRule
from cascadebert.systems.method import Candidate, Run
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.head_training import on_standardised_states
from cascadebert.training.loop import Examples, predict, train
from tests.tiny import SETTINGS, untrained

LABELS = ["negative", "positive"]


def run_of(method: str, encoder: str, **options) -> Run:
    """The run of a system's only exits, on an encoder; students have a part of its layers."""
    options = {"encoder": encoder, **options}
    if method == "gatekeeper":
        options = {"members": [encoder, {"encoder": encoder, "layers": 1}], "alphas": [0.5]}
        [candidate] = load_method(method).candidates(options, [])
        return candidate.runs[0]
    if method == "kd":
        options = {"layers": 1, "teacher": encoder, **options}
    if method in ("pkd", "theseus"):
        options = {"layers": 3 if encoder == "roberta-3" else 2, **options}
    [candidate] = load_method(method).candidates(options, [])
    [run] = candidate.runs
    return run


BORROWING = {"cascade", "deferral", "agreement"}  # these have others' runs
TRAINED = [name for name in find_methods() if name not in BORROWING]


def test_every_system_says_what_it_has_to():
    assert set(find_methods()) == {*BORROWING, *TRAINED}
    assert set(TRAINED) >= {"finetune", "deebert", "pabee", "fastbert", "kd", "pkd", "theseus"}
    for name in find_methods():
        method = load_method(name)
        assert isinstance(method.EXIT_RULE, ExitRule)
        assert set(method.OPTIONS["required"]) <= set(method.OPTIONS["properties"])
        assert callable(method.candidates)


def test_the_interface_and_what_methods_share_are_no_methods():
    folder = Path(systems.__file__).parent
    there = {module.name for module in pkgutil.iter_modules([str(folder)])}
    assert there - set(find_methods()) == {"method", "exits"}


def test_every_training_has_a_model_and_no_model_is_left_over():
    """A method may share another's trainings, and bring a rule alone."""
    folder = Path(models.__file__).parent
    there = {module.name for module in pkgutil.iter_modules([str(folder)])}
    assert there == {"base", "building", "heads", *(run_of(name, "a").method for name in TRAINED)}


@pytest.mark.parametrize("encoder", ["bert-2", "bert-4", "roberta-3", "electra-4", "distilbert-4"])
@pytest.mark.parametrize("method", TRAINED)
def test_exits_of_any_encoder_family(method, encoder, encoders, batch, tmp_path):
    inputs, gold = batch
    if encoder.startswith(("roberta", "distilbert")):
        inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    run = run_of(method, encoder)
    model = untrained(run, encoders, tmp_path)
    assert isinstance(model, FrozenExits if run.frozen else ExitModel)
    layers = load_config(encoders[encoder]).num_hidden_layers
    if isinstance(model, FrozenExits | JointExits):
        assert model.depths == list(range(1, layers + 1))
    elif not load_method(method).EXIT_RULE.knob:
        assert model.depths == [run.option("layers", layers)]
    else:  # exits where the method wants them
        assert model.depths == sorted(set(model.depths))
        assert 1 <= model.depths[0] <= model.depths[-1] == run.option("layers", layers)
    logits = model(inputs)
    assert logits.shape == (12, len(model.depths), 2)
    steps = 10
    for step in range(steps):
        trained, loss = model.train().objective(inputs, gold, step, steps)
        assert trained.shape == logits.shape
        assert trained.dtype == torch.float32
        loss.backward()
    learns = [p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters()]
    assert any(learns)
    assert not any(p.grad is not None for p in model.parameters() if not p.requires_grad)


POOLED = [name for name in find_methods() if "pooling" in load_method(name).OPTIONS["properties"]]


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("method", POOLED)
def test_a_model_reads_what_its_experiment_says(method, pooling, encoders, tmp_path):
    """On an encoder whose other classifiers read the other state."""
    config = yaml.safe_load((WORKFLOW_FOLDER / "config.yaml").read_text())
    entry = {"title": "Pooled", "method": method, "encoder": "bert-4", "pooling": pooling}
    if method == "kd":
        entry |= {"layers": 1, "teacher": "bert-4"}
    config["systems"]["pooled"] = entry
    other = "mean" if pooling == "first" else "first"
    config["encoders"]["bert-4"] = {"model": encoders["bert-4"], "pooling": other}
    system = Experiment(config).systems["pooled"]
    [run] = system.runs
    model = untrained(run, encoders, tmp_path)
    # A probe of FastBERT's exits reads the mean in any case, since they attend to all tokens.
    read = model.heads[0].pooling if method == "fastbert" else model.pooling
    assert read == system.pooling == pooling


def test_the_first_k_layers_are_those_of_the_encoder(encoders, batch):
    inputs, _ = batch
    cut = load_classifier(encoders["bert-4"], LABELS, layers=3)
    whole = load_classifier(encoders["bert-4"], LABELS)
    cut.eval(), whole.eval()
    with torch.no_grad():
        last = cut(**inputs, output_hidden_states=True).hidden_states[-1]
        third = whole(**inputs, output_hidden_states=True).hidden_states[3]
    torch.testing.assert_close(last, third)
    with pytest.raises(UserError, match="has 4 layers; its first 5"):
        load_classifier(encoders["bert-4"], LABELS, layers=5)


def test_a_finetuned_run_is_a_hugging_face_classifier(encoders, batch, tmp_path):
    inputs, _ = batch
    model = new_model(
        Run("finetune", "bert-4", (("layers", 2),)), encoders["bert-4"], LABELS, (), 3
    )
    model.save(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert plain.config.id2label == {0: "negative", 1: "positive"}
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(inputs)[:, 0], plain(**inputs).logits)


def test_deebert_trains_off_ramps_only(encoders, batch, tmp_path):
    inputs, gold = batch
    model = untrained(run_of("deebert", "bert-4"), encoders, tmp_path)
    logits, loss = model.train().objective(inputs, gold, 0, 10)
    by_hand = sum(cross_entropy(logits[:, i], gold) for i in range(3))
    torch.testing.assert_close(loss, by_hand)
    loss.backward()
    assert all(p.grad is None for p in model.backbone.parameters())
    assert all(p.grad is not None for p in model.heads.parameters())
    # its last exit is the fine-tuned model itself, with no dropout even while off-ramps train
    backbone = tmp_path / "finetune-bert-4"
    classifier = AutoModelForSequenceClassification.from_pretrained(backbone).eval()
    with torch.no_grad():
        torch.testing.assert_close(logits[:, -1], classifier(**inputs).logits)
    # every off-ramp starts from the fine-tuned pooler and reads its own layer
    pooler = model.backbone.base_model.pooler.dense.weight
    assert all(torch.equal(ramp[0].dense.weight, pooler) for ramp in model.heads)


def test_deeberts_off_ramps_can_start_from_the_pre_trained_pooler(encoders, tmp_path):
    run = run_of("deebert", "bert-4", poolers="pre-trained")
    assert run.name == "deebert-bert-4-poolerspre-trained"
    untrained(run.parents[0], encoders, tmp_path).save(tmp_path / "tuned")
    tuned = load_classifier(tmp_path / "tuned", LABELS)
    torch.nn.init.zeros_(tuned.base_model.pooler.dense.weight)  # fine-tuning changed it
    tuned.save_pretrained(tmp_path / "tuned")
    model = new_model(run, encoders["bert-4"], LABELS, [tmp_path / "tuned"], 0)
    pooler = load_encoder(encoders["bert-4"]).pooler.dense.weight
    assert all(torch.equal(ramp[0].dense.weight, pooler) for ramp in model.heads)
    assert not model.backbone.base_model.pooler.dense.weight.any()


def test_pabee_weighs_its_exits_by_depth(encoders, batch):
    inputs, gold = batch
    model = new_model(Run("pabee", "bert-4"), encoders["bert-4"], LABELS, (), 0)
    logits, loss = model.objective(inputs, gold, 0, 10)
    losses = np.array([cross_entropy(logits[:, j], gold).item() for j in range(4)])
    expected = (losses * [1, 2, 3, 4]).sum() / 10
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("encoder", ["bert-4", "distilbert-4"])
@pytest.mark.parametrize("method", TRAINED)
def test_what_is_saved_is_what_is_loaded(method, encoder, encoders, batch, tmp_path):
    inputs, _ = batch
    run = run_of(method, encoder)
    one, other = (untrained(run, encoders, tmp_path).eval() for _ in range(2))
    with torch.no_grad():
        for parameter in one.parameters():
            if parameter.requires_grad:
                parameter += torch.randn_like(parameter)
        assert not torch.allclose(one(inputs), other(inputs))
        one.save(tmp_path / "run")
        other.load(tmp_path / "run")
        torch.testing.assert_close(one(inputs), other.eval()(inputs))


@pytest.mark.parametrize("method", [name for name in TRAINED if run_of(name, "a").frozen])
def test_heads_trained_on_standardised_states_read_raw_ones(method, encoders, splits, tmp_path):
    """The standardisation is folded into the first linear layer, which has to read the states."""
    model = untrained(run_of(method, "bert-4"), encoders, tmp_path).eval()
    expected = predict(model, splits["dev"])
    mean, deviation = np.random.default_rng(0).uniform(0.5, 2, size=(2, len(model.heads), 32))
    with on_standardised_states(model, mean, deviation):
        np.testing.assert_allclose(predict(model, splits["dev"]), expected, atol=1e-4)
    np.testing.assert_allclose(predict(model, splits["dev"]), expected, atol=1e-4)


@pytest.mark.parametrize("method", TRAINED)
def test_a_training_that_was_interrupted_ends_as_if_it_was_not(method, encoders, splits, tmp_path):
    """Also where steps differ or draw at random."""
    examples = Examples(splits["train"].take(np.arange(96)), splits["dev"], "accuracy")
    run = run_of(method, "bert-4")
    settings = replace(SETTINGS, epochs=1)

    class Dying(Checkpoint):
        steps = 0

        def due(self):
            self.steps += 1
            if self.steps == 4:
                raise KeyboardInterrupt
            return True

    def fit(checkpoint):
        model = untrained(run, encoders, tmp_path)
        train(model, examples, settings, seed=0, name=run.name, checkpoint=checkpoint)
        return model

    whole = fit(None)
    with pytest.raises(KeyboardInterrupt):
        fit(Dying(tmp_path / "state.safetensors"))
    again = fit(Checkpoint(tmp_path / "state.safetensors"))
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_damaged_weights_are_named(encoders, tmp_path):
    model = new_model(Run("pabee", "bert-2"), encoders["bert-2"], LABELS, (), 0)
    model.save(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        model.load(tmp_path)


def test_cascades_share_their_runs_and_regularise_all_members_but_the_last():
    plain = cascade_candidates({"members": ["a", "b", "c"]}, [0.1, 0.3])
    fine_tuned = Run("finetune", "a"), Run("finetune", "b"), Run("finetune", "c")
    assert plain == [Candidate(label="", runs=fine_tuned)]
    regularised = cascade_candidates({"members": ["a", "b", "c"], "dar": True}, [0.1, 0.3])
    assert [candidate.label for candidate in regularised] == ["0.1", "0.3"]
    assert [run.name for run in regularised[1].runs] == [
        "finetune-a-margin0.3",
        "finetune-b-margin0.3",
        "finetune-c",
    ]


def test_members_of_a_cascade_may_be_students():
    first = {"encoder": "a", "layers": 2}
    [plain] = cascade_candidates({"members": [first, "a"]}, [])
    assert [run.name for run in plain.runs] == ["finetune-a-layers2", "finetune-a"]
    members = [{**first, "teacher": "a"}, {"encoder": "b", "teacher": "a"}, "a"]
    [candidate] = cascade_candidates({"members": members, "dar": True}, [0.3])
    taught = candidate.runs
    assert [run.name for run in taught] == [
        "kd-a-layers2-teachera-margin0.3",
        "kd-b-teachera-margin0.3",
        "finetune-a",
    ]
    assert [run.parents for run in taught] == [(Run("finetune", "a"),), (Run("finetune", "a"),), ()]
    # their difficulty is labelled by the same layers, fine-tuned without the teacher
    labellers = [run.labeller for run in taught]
    assert labellers == [Run("finetune", "a", (("layers", 2),)), Run("finetune", "b"), None]


def test_layers_of_another_width_cost_their_flops(encoders, tmp_path):
    assert compute_layer_cost(encoders["bert-2"], encoders["bert-4"], tokens=64) == 1
    wide = load_config(encoders["bert-2"])
    wide.hidden_size, wide.intermediate_size = 64, 128
    narrow = load_config(encoders["bert-2"])
    # by hand: 4 projections and 2 feed-forward matrices a token, 2 products of attention
    assert count_layer_flops(narrow, 10) == 2 * 10 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * (
        2 * 10 * 10 * 32
    )
    assert 3 < count_layer_flops(wide, 64) / count_layer_flops(narrow, 64) < 4
