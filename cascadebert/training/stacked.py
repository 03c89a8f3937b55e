"""Trains several copies of a model as one model, whose weights have a leading axis of copies.

Each copy has batches of its own. It ends with the weights that `loop.train` gives it, but for
rounding and for the masks that dropout draws. A GPU is much faster at one large product than at
many small ones; a CPU is not.
"""

import copy
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import pad

from cascadebert.core.errors import UserError
from cascadebert.data.scores import score
from cascadebert.data.tokens import make_shuffled_batches, make_sorted_batches
from cascadebert.models.base import ExitModel, Inputs
from cascadebert.training.checkpoint import Checkpoint, Tensors
from cascadebert.training.course import Course
from cascadebert.training.loop import (
    BATCH,
    Batches,
    Examples,
    Settings,
    autocast,
    choose_device,
    learning_rate,
    make_optimizer,
    on_device,
)

log = logging.getLogger(__name__)


class Stack:
    """Copies of one model, computed at once.

    weights: of all copies by name, `[models, ...]`
    """

    def __init__(self, models: Sequence[ExitModel]):
        """models: of one form, whose objective takes no decision that depends on the data

        What they do not learn (their buffers) is the same in all of them.
        """
        forms = [_Form(model) for model in models]
        self.form = copy.deepcopy(forms[0])
        self.size = len(forms)
        self.weights, buffers = stack_module_state(forms)
        self.buffers = {name: values[0] for name, values in buffers.items()}

    def compute_losses(
        self, models: list[int], inputs: Inputs, gold: torch.Tensor, step: int, steps: int
    ) -> torch.Tensor:
        """The loss of each of these models, `[models]`, of batches `[models, batch, tokens]`."""
        self.form.train()
        is_whole = models == list(range(self.size))
        weights = {key: w if is_whole else w[models] for key, w in self.weights.items()}

        def compute_loss(weights: Tensors, inputs: Inputs, gold: torch.Tensor) -> torch.Tensor:
            arguments = (inputs, gold, step, steps)
            return functional_call(self.form, (weights, self.buffers), arguments)

        return vmap(compute_loss, randomness="different")(weights, inputs, gold)

    @torch.no_grad()
    def compute_logits(self, inputs: Inputs) -> torch.Tensor:
        """Of all exits, `[models, batch, exits, labels]`; all models read the same."""
        self.form.eval()

        def answer(weights: Tensors, inputs: Inputs) -> torch.Tensor:
            return functional_call(self.form, (weights, self.buffers), (inputs,))

        return vmap(answer, in_dims=(0, None))(self.weights, inputs)

    def predict(self, data: Batches, precision: str) -> np.ndarray:
        """The labels of all exits, int64 `[models, examples, exits]`; all models read the same."""
        found: list[np.ndarray] = []
        order: list[np.ndarray] = []
        for rows in make_sorted_batches(data.lengths, BATCH):
            inputs = on_device(data.batch(rows))
            with autocast(precision, choose_device()):
                found.append(self.compute_logits(inputs).argmax(dim=-1).cpu().numpy())
            order.append(rows)
        predicted = np.concatenate(found, axis=1)
        predicted[:, np.concatenate(order)] = predicted.copy()
        return predicted


class _Form(nn.Module):
    """The model of which a stack has several, as one function of its weights."""

    def __init__(self, model: ExitModel):
        super().__init__()
        self.model = model

    def forward(
        self,
        inputs: Inputs,
        gold: torch.Tensor | None = None,
        step: int = 0,
        steps: int = 1,
    ) -> torch.Tensor:
        """The loss, or the logits where there is no gold label."""
        # transformers looks whether a mask of two axes hides anything, which vmap cannot do for
        # several models at once. It takes one of four axes as a term of the attention scores.
        hidden = 1 - inputs["attention_mask"].to(torch.float32)
        mask = (hidden * torch.finfo(torch.float32).min)[:, None, None]
        inputs = inputs | {"attention_mask": mask}
        if gold is None:
            return self.model(inputs)
        _, loss = self.model.objective(inputs, gold, step, steps)
        return loss


def train_stack(
    models: Sequence[ExitModel],
    examples: Examples,
    settings: Settings,
    *,
    seeds: Sequence[int],
    name: str,
    checkpoint: Checkpoint | None = None,
) -> list[list[float]]:
    """Fine-tunes models in place, each as `loop.train` does without a regularisation.

    models: of one form, see `Stack`
    seeds:  of each model; they draw its batches
    name:   of the training, in the log

    Returns the dev scores after each epoch, in percent, a list for each model. Raises UserError if
    a loss is not finite, or if models of this form cannot be stacked.
    """
    where = choose_device()
    for model in models:
        model.to(where)
    stack = Stack(models)
    _check_answers(stack, models, examples.train)
    weights = {key.removeprefix("model."): weight for key, weight in stack.weights.items()}
    optimizer = make_optimizer(models[0], settings, weights)
    samplers = [np.random.default_rng(seed) for seed in seeds]
    torch.manual_seed(seeds[0])  # dropout
    course: Course[list[float]] = Course(
        name=name,
        epochs=settings.epochs,
        in_epoch=-(-len(examples.train) // settings.batch_size),
        weights=stack.weights,
        optimizer=optimizer,
        where=where,
        checkpoint=checkpoint,
        # Each model has a best epoch of its own.
        best={key: weight.detach().clone() for key, weight in stack.weights.items()},
    )
    for epoch in range(settings.epochs):
        batches = [
            make_shuffled_batches(examples.train.lengths, settings.batch_size, sampler)
            for sampler in samplers
        ]
        for rows in list(zip(*batches, strict=True))[course.done_in(epoch) :]:
            step, steps = course.done, course.steps
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * learning_rate(step, steps, settings)
            with autocast(settings.precision, where):
                losses = torch.cat(
                    [
                        stack.compute_losses(numbers, *batch, step, steps)
                        for numbers, batch in _read_batches(examples.train, rows)
                    ]
                )
            optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()
            _clip(list(stack.weights.values()), settings.clip)
            optimizer.step()
            course.end_step(losses.mean())

        if len(course.scores) == epoch:
            _end_epoch(stack, course, examples, settings.precision)

    for number, model in enumerate(models):
        own = {key.removeprefix("model."): weight[number] for key, weight in course.best.items()}
        model.load_state_dict(own, strict=False)  # buffers are nothing that is learnt
    return [[scores[number] for scores in course.scores] for number in range(len(models))]


def _check_answers(stack: Stack, models: Sequence[ExitModel], data: Batches) -> None:
    """Raises UserError unless the stack answers as its models do.

    Some families read a mask of four axes otherwise than one of two: DeBERTa hides what should be
    seen, and ModernBERT forgets that some of its layers see near tokens alone. ESM cannot read it.
    """
    refused = UserError(
        "configuration, difficulty.stacked: models of this encoder do not answer in a stack as "
        "they do alone; set it to false"
    )
    inputs = on_device(data.batch(data.lengths.argsort()[[0, -1]]))  # one of them is padded
    try:
        found = stack.compute_logits(inputs)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a family's code raises
        raise refused from error
    for model, of_stack in zip(models, found, strict=True):
        with torch.no_grad():
            if not torch.allclose(of_stack, model.eval()(inputs), rtol=0.01, atol=1e-3):
                raise refused


def _end_epoch(
    stack: Stack, course: Course[list[float]], examples: Examples, precision: str
) -> None:
    """Scores each model on the dev examples, and keeps its weights if they are its best so far."""
    dev, metric, epoch = examples.dev, examples.metric, len(course.scores) + 1
    reached = []
    for number, predicted in enumerate(stack.predict(dev, precision)):
        reached.append(float(np.mean([score(metric, exit, dev.labels) for exit in predicted.T])))
        log.info("%s %d epoch %d: dev %s %.2f", course.name, number, epoch, metric, reached[-1])
        if reached[-1] > max((scores[number] for scores in course.scores), default=-1):
            for key, weight in stack.weights.items():
                course.best[key][number] = weight[number].detach()
    course.scores.append(reached)


def _read_batches(
    data: Batches, rows: Sequence[np.ndarray]
) -> Iterator[tuple[list[int], tuple[Inputs, torch.Tensor]]]:
    """The batches of models that have equally many rows, and the numbers of these models.

    An epoch has one smaller batch, which comes at another step for each model. Batches are padded
    to the longest of all: `[models, batch, tokens]`, with labels `[models, batch]`.
    """
    where = choose_device()
    for size in sorted({len(chosen) for chosen in rows}):
        numbers = [number for number, chosen in enumerate(rows) if len(chosen) == size]
        batches = [data.batch(rows[number]) for number in numbers]
        longest = max(batch["attention_mask"].shape[1] for batch in batches)
        inputs = {
            key: torch.stack(
                [pad(batch[key], (0, longest - batch[key].shape[1])) for batch in batches]
            )
            for key in batches[0]
        }
        gold = np.stack([data.labels[rows[number]] for number in numbers])
        yield numbers, (on_device(inputs), torch.from_numpy(gold).to(where))


def _clip(weights: list[torch.Tensor], largest: float) -> None:
    """As `torch.nn.utils.clip_grad_norm_`, each model by a norm of its own."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
    scales = (largest / (norms + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(scales.view(-1, *[1] * (gradient.ndim - 1)))
