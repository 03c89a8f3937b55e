import math

import pytest
import torch

from cascadebert.encoders.loading import load_classifier
from cascadebert.models.building import new_model
from cascadebert.models.gatekeeper import gatekeeper_loss
from cascadebert.systems import load_method
from cascadebert.systems.exits import CONFIDENCES
from cascadebert.systems.method import Run
from tests.tiny import perturb

LABELS = ["negative", "positive"]


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("labels", [2, 3])
def test_the_loss_is_the_papers_word_for_word(alpha, labels):
    torch.manual_seed(0)
    logits, gold = torch.randn(20, labels, dtype=torch.float64), torch.randint(labels, (20,))
    correct = incorrect = 0.0
    for row, label in zip(logits.tolist(), gold.tolist(), strict=True):
        total = sum(map(math.exp, row))
        p = [math.exp(value) / total for value in row]
        if row.index(max(row)) == label:
            correct += -math.log(p[label])
        else:
            incorrect += sum(value * math.log(value / (1 / labels)) for value in p)
    expected = alpha * correct / 20 + (1 - alpha) * incorrect / 20
    assert gatekeeper_loss(logits, gold, alpha).item() == pytest.approx(expected)


def test_right_answers_grow_confident_and_wrong_ones_uniform():
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0]], requires_grad=True)
    gold = torch.tensor([0, 1])
    gatekeeper_loss(logits, gold, 0.5).backward()
    right, wrong = logits.grad
    assert right[0] < 0 < right[1]  # a step against the gradient widens the gap
    assert wrong[0] > 0 > wrong[1]


def test_its_small_models_start_from_fine_tuned_ones(encoders, tmp_path, batch):
    method = load_method("gatekeeper")
    assert method.EXIT_RULE is CONFIDENCES
    options = {"members": [{"encoder": "bert-4", "layers": 2}, "bert-4"], "alphas": [0.3, 0.7]}
    first, second = method.candidates(options, [])
    assert (first.label, second.label) == ("0.3", "0.7")
    fine_tuned = Run("finetune", "bert-4", (("layers", 2),))
    small, large = first.runs
    assert (small.name, small.parents) == ("gatekeeper-bert-4-layers2-alpha0.3", (fine_tuned,))
    assert large == Run("finetune", "bert-4")

    parent = new_model(fine_tuned, encoders["bert-4"], LABELS, (), 1)
    perturb(parent)
    parent.save(tmp_path / "parent")
    model = new_model(small, encoders["bert-4"], LABELS, [tmp_path / "parent"], 2)
    for one, other in zip(model.parameters(), parent.parameters(), strict=True):
        assert torch.equal(one, other)
    model.save(tmp_path / "tuned")
    assert load_classifier(tmp_path / "tuned", LABELS).config.num_hidden_layers == 2
    inputs, gold = batch
    logits, loss = model.eval().objective(inputs, gold, 0, 10)
    torch.testing.assert_close(loss, gatekeeper_loss(logits[:, 0], gold, 0.3))


def test_its_alphas_are_chosen_among_these_by_default():
    candidates = load_method("gatekeeper").candidates({"members": ["a", "b"]}, [])
    assert [candidate.label for candidate in candidates] == ["0.3", "0.5", "0.7"]
