"""A trained cascade of two members."""

import numpy as np
import pytest

from cascadebert.data.predictions import Predictions
from cascadebert.data.tokens import tokenize
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.loop import Examples, predict, train
from tests.conftest import made_once
from tests.tiny import SETTINGS


@pytest.fixture(scope="session")
def trained(task, encoders, tmp_path_factory):
    """The folders of a 2-4 cascade's members and their predictions on each split.

    The second member's head reads the mean of all tokens' states.
    """
    folder = made_once(
        tmp_path_factory, "trained", lambda draft: train_members(draft, task, encoders)
    )
    folders = [folder / "bert-2", folder / "bert-4"]
    predictions = {}
    for split in ("dev", "test"):
        small, large = (Predictions.load(f"{member}-{split}.npz") for member in folders)
        predictions[split] = small.followed_by(large)
    return folders, predictions


def train_members(folder, task, encoders) -> None:
    for name, options in (("bert-2", ()), ("bert-4", (("pooling", "mean"),))):
        tokenizer = load_tokenizer(encoders[name])
        data = {split: tokenize(table, tokenizer, 64) for split, table in task.splits.items()}
        model = new_model(Run("finetune", name, options), encoders[name], task.labels, (), 0)
        examples = Examples(data["train"], data["dev"], "accuracy")
        train(model, examples, SETTINGS, seed=0, name=name)
        model.save(folder / name)
        tokenizer.save_pretrained(folder / name)
        for split in ("dev", "test"):
            of = data[split]
            found = Predictions(predict(model, of), np.array(model.depths), of.ids, of.labels)
            found.save(folder / f"{name}-{split}.npz")
