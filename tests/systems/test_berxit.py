"""A method that is not in the paper, added as docs/how-to/add_a_method.md says."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.special import log_softmax

from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.systems.method import Run
from cascadebert.training.loop import Examples, train
from tests.tiny import SETTINGS, perturb, untrained

ROOT = Path(__file__).parents[2]
RUN = Run("berxit", "bert-4")


@pytest.fixture
def model(encoders, tmp_path):
    return untrained(RUN, encoders, tmp_path)


def test_steps_alternate_between_the_last_exit_and_all_of_them(model, batch):
    inputs, gold = batch
    model.eval()  # no dropout, so that the steps can be compared
    for step in range(4):
        model.zero_grad(set_to_none=True)
        logits, loss = model.objective(inputs, gold, step, 4)
        log_probabilities = log_softmax(logits.detach().double().numpy(), axis=-1)
        losses = -log_probabilities[np.arange(12), :, gold.numpy()].mean(axis=0)
        expected = losses[-1] if step in (0, 2) else losses.sum()
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        loss.backward()
        learns = [p.grad is not None and bool(p.grad.any()) for p in model.ramps.parameters()]
        assert all(learns) if step in (1, 3) else not any(learns)
        assert all(p.grad is not None for p in model.classifier.parameters())


def test_every_exit_reads_its_layer(model, batch):
    inputs, _ = batch
    perturb(model.eval())
    with torch.no_grad():
        logits = model(inputs)
        outputs = model.classifier(**inputs, output_hidden_states=True)
        for layer, (pooler, _, classifier) in enumerate(model.ramps, start=1):
            pooled = pooler.dense(outputs.hidden_states[layer][:, 0]).tanh()
            torch.testing.assert_close(logits[:, layer - 1], classifier(pooled))
        torch.testing.assert_close(logits[:, 3], outputs.logits)


def test_it_learns(model, splits):
    examples = Examples(splits["train"], splits["dev"], "accuracy")
    scores = train(model, examples, SETTINGS, seed=0, name="berxit")
    assert max(scores) > 70  # of all exits on average


def test_its_documentation_is_a_valid_configuration():
    text = (ROOT / "docs/how-to/add_a_method.md").read_text()
    assert len(text.splitlines()) < 100
    override = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    default = yaml.safe_load((ROOT / "config.yaml").read_text())
    experiment = Experiment(resolve(default, override))
    assert experiment.systems["berxit"].rule.name == "entropy"
    assert "berxit-bert-12" in experiment.runs
