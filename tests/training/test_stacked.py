"""A stack of models trains as each model does by itself."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import (
    AutoConfig,
    DebertaV2Config,
    DebertaV2Model,
    EsmConfig,
    EsmModel,
    ModernBertConfig,
    ModernBertModel,
)

from cascadebert.core.errors import UserError
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.loop import Examples, predict, train
from cascadebert.training.stacked import train_stack
from tests.tiny import SETTINGS, perturb

RUN = Run("finetune", "bert-2")
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def encoder(encoders, tmp_path_factory) -> str:
    """Without dropout, whose masks depend on what is computed together."""
    folder = tmp_path_factory.mktemp("encoder")
    for file in Path(encoders["bert-2"]).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = AutoConfig.from_pretrained(folder)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    config.save_pretrained(folder)
    return str(folder)


def make_models(encoder, task):
    return [new_model(RUN, encoder, task.labels, (), seed) for seed in SEEDS]


def make_examples(splits):
    return Examples(splits["train"], splits["dev"], "accuracy")


def test_each_model_ends_as_it_does_by_itself(encoder, task, splits):
    settings = replace(SETTINGS, clip=0.05)  # which every step exceeds
    examples = make_examples(splits)
    stacked, alone = make_models(encoder, task), make_models(encoder, task)
    scores = train_stack(stacked, examples, settings, seeds=SEEDS, name="stack")
    for number, (model, own) in enumerate(zip(stacked, alone, strict=True)):
        expected = train(own, examples, settings, seed=SEEDS[number], name="alone")
        assert scores[number] == pytest.approx(expected)
        logits = predict(model, splits["test"])
        assert logits == pytest.approx(predict(own, splits["test"]), abs=2e-3)
    assert not np.allclose(logits, predict(stacked[0], splits["test"]), atol=0.1)


def test_students_of_a_frozen_teacher_can_be_stacked(encoder, task, splits, tmp_path):
    [teacher] = make_models(encoder, task)[:1]
    teacher.save(tmp_path)
    run = Run("kd", "bert-2", parents=(RUN,))
    settings = replace(SETTINGS, epochs=1)

    def make():
        return [new_model(run, encoder, task.labels, [tmp_path], seed) for seed in SEEDS]

    stacked, alone, examples = make(), make(), make_examples(splits)
    train_stack(stacked, examples, settings, seeds=SEEDS, name="stack")
    for model, own, seed in zip(stacked, alone, SEEDS, strict=True):
        train(own, examples, settings, seed=seed, name="alone")
        assert predict(model, splits["test"]) == pytest.approx(
            predict(own, splits["test"]), abs=2e-3
        )


def test_one_step_is_the_same_to_rounding(encoder, task, splits):
    settings = replace(SETTINGS, epochs=1)
    batch = splits["train"].take(np.arange(settings.batch_size))
    examples = Examples(batch, splits["dev"], "accuracy")
    stacked, alone = make_models(encoder, task), make_models(encoder, task)
    train_stack(stacked, examples, settings, seeds=SEEDS, name="stack")
    for model, own, seed in zip(stacked, alone, SEEDS, strict=True):
        train(own, examples, settings, seed=seed, name="alone")
        for weight, expected in zip(model.parameters(), own.parameters(), strict=True):
            # Adam's first step has the gradient's sign alone, which rounding decides near zero.
            far = (weight - expected).abs() > 1e-6
            assert far.float().mean() < 0.01


def test_dropout_draws_other_masks_for_each_model(encoders, task, splits):
    """Equal models that see equal batches part, since dropout does."""
    models = [new_model(RUN, encoders["bert-2"], task.labels, (), 0) for _ in range(2)]
    train_stack(models, make_examples(splits), SETTINGS, seeds=(0, 0), name="stack")
    first, second = (predict(model, splits["test"]) for model in models)
    assert not np.allclose(first, second, atol=1e-3)


def test_an_interrupted_training_ends_with_the_same_bytes(encoders, task, splits, tmp_path):
    class Interrupted(Checkpoint):
        """Stops the training once, in the middle of the second epoch."""

        def due(self):
            return True

        def save(self, parts, about):
            super().save(parts, about)
            if about["step"] == 20:
                raise KeyboardInterrupt

    def fit(checkpoint=None):
        models = [new_model(RUN, encoders["bert-2"], task.labels, (), seed) for seed in SEEDS]
        examples = make_examples(splits)
        train_stack(models, examples, SETTINGS, seeds=SEEDS, name="stack", checkpoint=checkpoint)
        return [predict(model, splits["test"]).tobytes() for model in models]

    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(tmp_path / "state", seconds=0))
    assert fit(Checkpoint(tmp_path / "state", seconds=0)) == fit()


@pytest.mark.parametrize("saves", [False, True])
def test_a_loss_that_is_no_number_is_refused(saves, encoder, task, splits, tmp_path):
    """And a state after it is not saved."""
    saved = []

    class Noting(Checkpoint):
        def save(self, parts, about):
            saved.append(about["step"])

    settings = replace(SETTINGS, learning_rate=1e30)
    message = r"stack: the loss is (nan|inf) at step (\d+) of \d+; .*learning_rate"
    with pytest.raises(UserError, match=message) as refused:
        train_stack(
            make_models(encoder, task),
            make_examples(splits),
            settings,
            seeds=SEEDS,
            name="stack",
            checkpoint=Noting(tmp_path / "state", seconds=0) if saves else None,
        )
    step = int(re.search(message, str(refused.value))[2])
    assert saved == (list(range(1, step)) if saves else [])


@pytest.mark.parametrize(
    ("kind", "configure", "own"),
    [
        (DebertaV2Model, DebertaV2Config, {}),
        (ModernBertModel, ModernBertConfig, {"local_attention": 4}),
        (EsmModel, EsmConfig, {"mask_token_id": 4, "position_embedding_type": "rotary"}),
    ],
)
def test_families_that_read_the_mask_of_a_stack_otherwise_are_refused(
    kind, configure, own, task, splits, tmp_path
):
    shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    shape |= {"vocab_size": 50, "num_hidden_layers": 3, "pad_token_id": 0}
    kind(configure(**shape, **own)).save_pretrained(tmp_path)
    models = [new_model(RUN, str(tmp_path), task.labels, (), seed) for seed in SEEDS]
    for model in models:
        perturb(model)
    examples = Examples(
        *(replace(splits[split], segments=None) for split in ("train", "dev")), "accuracy"
    )
    with pytest.raises(UserError, match=r"difficulty\.stacked: .* set it to false"):
        train_stack(models, examples, SETTINGS, seeds=SEEDS, name="stack")
