"""BERT-of-Theseus against its definition: when modules are replaced, and what they compute."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModelForSequenceClassification,
    FlaubertConfig,
    FlaubertModel,
)

from cascadebert.core.errors import UserError
from cascadebert.encoders.layers import list_layers
from cascadebert.models.theseus import replacing_rate
from cascadebert.systems.theseus import candidates
from cascadebert.training.loop import Examples, train
from tests.tiny import SETTINGS, perturb, untrained


def theseus(encoder, layers, encoders, folder):
    [candidate] = candidates({"encoder": encoder, "layers": layers}, [])
    return untrained(*candidate.runs, encoders, folder)


def perturbed(model):
    """The model with layers that all differ."""
    perturb(torch.nn.ModuleList([list_layers(model.classifier), list_layers(model.predecessor)]))
    return model


def test_the_rate_rises_linearly_and_then_the_successor_is_alone():
    rates = [replacing_rate(step, 30) for step in range(30)]
    assert rates[:20] == pytest.approx([0.3 + 0.7 * step / 20 for step in range(20)])
    assert rates[20:] == [1.0] * 10


@pytest.mark.parametrize(("encoder", "layers"), [("bert-4", 2), ("bert-12", 4), ("bert-12", 3)])
def test_every_combination_of_modules_is_the_stack_of_their_layers(
    encoder, layers, encoders, batch, tmp_path
):
    inputs, _ = batch
    model = perturbed(theseus(encoder, layers, encoders, tmp_path)).eval()
    predecessor, successor = model.predecessor, model.classifier
    size = predecessor.config.num_hidden_layers // layers
    mask = (1.0 - inputs["attention_mask"][:, None, None, :].float()) * -1e9

    def by_hand(layers_in_order):
        states = predecessor.bert.embeddings(inputs["input_ids"], inputs["token_type_ids"])
        for layer in layers_in_order:
            states = layer(states, mask)
        return predecessor.classifier(predecessor.bert.pooler(states))

    seen = []
    with torch.no_grad():
        whole = predecessor(**inputs).logits
        for replaced in product([False, True], repeat=layers):
            order = []
            for i, is_replaced in enumerate(replaced):
                if is_replaced:
                    order.append(successor.bert.encoder.layer[i])
                else:
                    order += [predecessor.bert.encoder.layer[size * i + j] for j in range(size)]
            logits = model.mixed(inputs, list(replaced))
            torch.testing.assert_close(logits[:, 0], by_hand(order))
            seen.append(logits)
        torch.testing.assert_close(seen[0][:, 0], whole)
        torch.testing.assert_close(seen[-1], model(inputs))
        torch.testing.assert_close(predecessor(**inputs).logits, whole)  # mixing leaves no trace
    assert all(not torch.allclose(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_modules_are_replaced_independently_with_the_rate_of_the_step(
    encoders, batch, tmp_path, monkeypatch
):
    inputs, gold = batch
    model = theseus("bert-12", 4, encoders, tmp_path)
    drawn = []

    def mixed(inputs, replaced):
        drawn.append(replaced)
        return torch.zeros(12, 1, 2, requires_grad=True)

    monkeypatch.setattr(model, "mixed", mixed)
    torch.manual_seed(0)
    for step, rate in ((0, 0.3), (300, 0.65), (540, 0.93)):
        drawn.clear()
        for _ in range(1000):
            model.objective(inputs, gold, step, 900)
        modules = np.array(drawn)
        assert modules.mean(axis=0) == pytest.approx(rate, abs=0.05)
        # as often as independent ones are replaced all at once
        assert modules.all(axis=1).mean() == pytest.approx(rate**4, abs=0.05)
    drawn.clear()
    for step in range(600, 900):
        model.objective(inputs, gold, step, 900)
    assert np.all(drawn)


def test_only_successors_that_take_part_learn(encoders, batch, tmp_path):
    inputs, gold = batch
    model = theseus("bert-4", 2, encoders, tmp_path).train()
    successors = list_layers(model.classifier)
    trained = {id(parameter) for parameter in successors.parameters()}
    assert {id(p) for p in model.parameters() if p.requires_grad} == trained

    seen = set()
    torch.manual_seed(0)
    for _ in range(40):
        model.zero_grad(set_to_none=True)
        state = torch.random.get_rng_state()
        replaced = (torch.rand(2) < 0.3).tolist()  # what the objective will draw
        torch.random.set_rng_state(state)
        _, loss = model.objective(inputs, gold, 0, 10)
        loss.backward()
        learns = [any(p.grad is not None for p in layer.parameters()) for layer in successors]
        assert learns == replaced
        assert all(p.grad is None for p in model.predecessor.parameters())
        seen.add(tuple(replaced))
    assert len(seen) == 4


def test_the_loss_is_that_of_the_mixed_model(encoders, batch, tmp_path):
    inputs, gold = batch
    model = perturbed(theseus("bert-4", 2, encoders, tmp_path)).eval()
    logits, loss = model.objective(inputs, gold, 9, 10)
    torch.testing.assert_close(loss, cross_entropy(model(inputs)[:, 0], gold))
    torch.testing.assert_close(logits, model(inputs))


def test_training_leaves_a_hugging_face_classifier_of_the_successors(
    encoders, splits, batch, tmp_path
):
    inputs, _ = batch
    model = theseus("bert-4", 2, encoders, tmp_path)
    examples = Examples(splits["train"], splits["dev"], "accuracy")
    train(model, examples, SETTINGS, seed=0, name="theseus")
    model.save(tmp_path / "saved")
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    assert saved.config.num_hidden_layers == 2
    with torch.no_grad():
        torch.testing.assert_close(saved(**inputs).logits, model.eval()(inputs)[:, 0])
    # Embeddings and head are still the predecessor's, the layers no longer its first two.
    start = AutoModelForSequenceClassification.from_pretrained(tmp_path / "finetune-bert-4")
    before, after = start.state_dict(), saved.state_dict()
    for name, value in after.items():
        assert torch.equal(value, before[name]) == (".layer." not in name), name


def test_successors_start_as_the_first_layers_of_the_predecessor(encoders, tmp_path):
    model = theseus("electra-4", 2, encoders, tmp_path)
    for mine, its in zip(
        list_layers(model.classifier), list_layers(model.predecessor), strict=False
    ):
        for one, other in zip(mine.parameters(), its.parameters(), strict=True):
            assert torch.equal(one, other)
            assert one is not other


def test_what_cannot_be_cut_is_refused(encoders, tmp_path):
    with pytest.raises(UserError, match=r"theseus-bert-4-layers3: 4 layers.*has to divide 4"):
        theseus("bert-4", 3, encoders, tmp_path)
    with pytest.raises(UserError, match="has 4 layers; its first 5"):
        theseus("bert-4", 5, encoders, tmp_path)


SHAPE = {"vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        # Its layers share their weights.
        (AlbertModel, AlbertConfig(**SHAPE, num_hidden_layers=4)),
        # It has a list of attentions, another of norms, and so on.
        (FlaubertModel, FlaubertConfig(n_words=50, emb_dim=32, n_heads=2, n_layers=4)),
    ],
    ids=["albert", "flaubert"],
)
def test_a_family_without_a_list_of_layers_is_refused(kind, config, tmp_path):
    kind(config).save_pretrained(tmp_path / "encoder")
    with pytest.raises(UserError, match="model has no list of layers of its own"):
        theseus("encoder", 2, {"encoder": str(tmp_path / "encoder")}, tmp_path)
