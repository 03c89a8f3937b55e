"""A trained cascade of two members."""

import numpy as np
import pytest

from cascadebert.data.predictions import Predictions
from cascadebert.data.tokens import tokenize
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.loop import Examples, predict, train
from tests.conftest import SETTINGS


@pytest.fixture(scope="session")
def trained(task, encoders, tmp_path_factory):
    """The folders of a 2-4 cascade's members and their predictions on each split.

    The second member's head reads the mean of all tokens' states.
    """
    folders, predictions = [], {}
    for name, options in (("bert-2", ()), ("bert-4", (("pooling", "mean"),))):
        tokenizer = load_tokenizer(encoders[name])
        data = {split: tokenize(table, tokenizer, 64) for split, table in task.splits.items()}
        model = new_model(Run("finetune", name, options), encoders[name], task.labels, (), 0)
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
