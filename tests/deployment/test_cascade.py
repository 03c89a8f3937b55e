"""What the deployed cascade executes is what the stored logits say, example by example."""

import numpy as np
import pytest

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.data.tokens import tokenize
from cascadebert.deployment.cascade import Cascade
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.evaluation.choice import choose_knob
from cascadebert.systems.method import Run
from cascadebert.systems.shared.exits import CONFIDENCE, first_confident, speedup
from cascadebert.training.loop import Examples, predict, train
from cascadebert.training.models import new_model
from tests.conftest import SETTINGS


@pytest.fixture(scope="module")
def trained(task, encoders, tmp_path_factory):
    """The folders of a 2-4 cascade's members and their predictions on each split."""
    folders, predictions = [], {}
    for name in ("bert-2", "bert-4"):
        tokenizer = load_tokenizer(encoders[name])
        data = {split: tokenize(table, tokenizer, 64) for split, table in task.splits.items()}
        model = new_model(Run("finetune", name), encoders[name], task.labels, (), 0)
        examples = Examples(data["train"], data["dev"], "accuracy")
        train(model, examples, SETTINGS, seed=0, name=name)
        folder = tmp_path_factory.mktemp(name)
        model.save(folder)
        tokenizer.save_pretrained(folder)
        folders.append(folder)
        for split in ("dev", "test"):
            one = Predictions(
                predict(model, data[split]),
                np.array(model.depths),
                data[split].ids,
                data[split].labels,
            )
            predictions[split] = (
                predictions[split].followed_by(one) if split in predictions else one
            )
    return folders, predictions


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
        member.register_forward_pre_hook(
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


def test_nobody_waits_when_everybody_left(trained):
    cascade = Cascade.from_pretrained(trained[0], threshold=0.0, max_length=64)
    cascade.members[1].forward = None  # would fail if it were called
    assert (cascade(["a warm film", "a dull plot"]).exits == 0).all()


def test_members_must_agree_on_their_labels(trained, encoders, tmp_path):
    new_model(Run("finetune", "bert-4"), encoders["bert-4"], ["no", "yes"], (), 0).save(tmp_path)
    with pytest.raises(UserError, match=r"are \['no', 'yes'\], but of"):
        Cascade.from_pretrained([trained[0][0], tmp_path], 0.9)
