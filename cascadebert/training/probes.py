"""Linear probes: logistic regressions on the states that an exit reads.

Alain and Bengio (2016), "Understanding intermediate layers using linear classifier probes". An exit
whose accuracy lies below the probe's was not trained to the end.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from transformers import PreTrainedModel

from cascadebert.data.tokens import TokenizedSplit, make_sorted_batches
from cascadebert.encoders.pooling import pool
from cascadebert.models.base import ExitModel, Inputs
from cascadebert.models.building import find_encoder
from cascadebert.models.heads import JointExits, Scaling
from cascadebert.training.loop import BATCH, predict

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # C of scikit-learn, the inverse of the penalty
EXAMPLES = 10_000  # a probe of more would say the same
SAMPLE = 1024  # examples whose states give the scale of each feature
NEVER = -30.0  # logit of a label that no training example has

Probes = list[tuple[np.ndarray, np.ndarray]]  # one an exit: weight and bias, see `fit_linear`


def fit_linear(
    states: np.ndarray,
    labels: np.ndarray,
    dev_states: np.ndarray,
    dev_labels: np.ndarray,
    classes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression on standardised states; the dev split's log loss chooses the penalty.

    states, dev_states: `[examples, width]`
    labels, dev_labels: int64 `[examples]`
    Returns weight `[classes, width]` and bias `[classes]`, float64, which read raw states.
    """
    # Imported here: scikit-learn takes most of a second, and few trainings fit a probe.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    states = np.asarray(states, dtype=np.float64)
    # Without the bound, features that are constant but for rounding would be blown up.
    mean, deviation = states.mean(axis=0), np.maximum(states.std(axis=0), 1e-6)
    weight, bias = np.zeros((classes, states.shape[1])), np.full(classes, NEVER)
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = 0
        return weight, bias
    standard, standard_dev = ((x - mean) / deviation for x in (states, dev_states))
    judged = np.isin(dev_labels, present)
    fits = []
    with warnings.catch_warnings(), threadpool_limits(torch.get_num_threads()):
        warnings.simplefilter("ignore", ConvergenceWarning)
        for strength in STRENGTHS:
            fits.append(LogisticRegression(C=strength, max_iter=300).fit(standard, labels))
        best = min(
            fits,
            key=lambda fit: (
                log_loss(
                    dev_labels[judged], fit.predict_proba(standard_dev[judged]), labels=present
                )
                if judged.any()
                else 0
            ),
        )
    coefficients, intercepts = best.coef_, best.intercept_
    if len(present) == 2:  # scikit-learn gives the second label's logit less the first's
        coefficients = np.stack([-coefficients[0], coefficients[0]]) / 2
        intercepts = np.array([-intercepts[0], intercepts[0]]) / 2
    weight[present] = coefficients / deviation
    bias[present] = intercepts - weight[present] @ mean
    return weight, bias


def predict_with_probes(
    model: ExitModel, splits: dict[str, TokenizedSplit], seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Logits of all exits, and of a linear probe on the states that each exit reads.

    The probes are fitted on at most EXAMPLES examples of `train`; `dev` chooses their penalty. The
    states of the other splits are read and forgotten batch by batch, since they may be many.

    Returns both by split, float32 `[examples, exits, labels]`, of all splits but `train`.
    """
    logits: dict[str, np.ndarray] = {}
    probes: dict[str, np.ndarray] = {}
    fits, logits["dev"], probes["dev"] = _fit_probes(model, splits["train"], splits["dev"], seed)
    for split, data in splits.items():
        if split not in ("train", "dev"):
            logits[split], probes[split] = _read_states(model, data, partial(_answer_probes, fits))
    return logits, probes


def _fit_probes(
    model: ExitModel, train: TokenizedSplit, dev: TokenizedSplit, seed: int
) -> tuple[Probes, np.ndarray, np.ndarray]:
    """The probes of all exits, and on `dev` the logits of the exits and of the probes."""
    if len(train) > EXAMPLES:
        chosen = np.random.default_rng(seed).permutation(len(train))[:EXAMPLES]
        train = train.take(np.sort(chosen))
    # A probe is no worse for reduced precision; what it is compared with has full precision.
    _, states = read_exits(model, train, precision="auto")
    logits, dev_states = read_exits(model, dev)
    fits = [
        fit_linear(states[:, e], train.labels, dev_states[:, e], dev.labels, logits.shape[-1])
        for e in range(states.shape[1])
    ]
    return fits, logits, _answer_probes(fits, dev_states)


def _answer_probes(probes: Probes, states: np.ndarray) -> np.ndarray:
    """Logits of all probes, float32 `[examples, exits, labels]`.

    states: `[examples, exits, width]`
    """
    answers = [states[:, e] @ weight.T + bias for e, (weight, bias) in enumerate(probes)]
    return np.stack(answers, axis=1).astype(np.float32)


def read_exits(
    model: ExitModel, data: TokenizedSplit, precision: str = "fp32"
) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[examples, exits, labels]`, and the states that the exits read; both float32.

    A state is the first token's or the mean of all tokens' (`ExitModel.exit_pooling`), before
    anything that the exit itself computes from it: `[examples, exits, width]`.
    """
    return _read_states(model, data, lambda states: states, precision)


def _read_states(
    model: ExitModel,
    data: TokenizedSplit,
    reduce: Callable[[np.ndarray], np.ndarray],
    precision: str = "fp32",
) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[examples, exits, labels]`, and what `reduce` makes of the pooled states.

    reduce: of each batch's states, `[batch, exits, width]` -> float32 `[batch, ...]`, which alone
            is kept
    """
    batches = make_sorted_batches(data.lengths, BATCH)  # as `predict` makes them
    kept = None

    def keep(states: np.ndarray) -> None:
        nonlocal kept
        reduced = reduce(states)
        if kept is None:
            kept = np.empty((len(data), *reduced.shape[1:]), dtype=np.float32)
        kept[next(batches)] = reduced

    with _passing_states(model, keep):
        logits = predict(model, data, precision=precision)
    assert kept is not None
    assert next(batches, None) is None  # as many as the model has read
    return logits, kept


def scale_exits(model: ExitModel, data: TokenizedSplit, seed: int) -> None:
    """Sets the `heads.Scaling` of a model's exits, where they need one, from training examples."""
    if isinstance(model, JointExits) and model.needs_scales:
        rows = np.random.default_rng(seed).permutation(len(data))[:SAMPLE]
        _, states = read_exits(model, data.take(rows))
        # The last exit may be the model's own and need none.
        for e, scale in enumerate(model.scales):
            cast(Scaling, scale).set(torch.from_numpy(states[:, e]))


@contextmanager
def _passing_states(model: ExitModel, receive: Callable[[np.ndarray], None]) -> Iterator[None]:
    """While it lasts, `receive` gets the pooled states of each batch that the model computes."""
    encoder = cast(PreTrainedModel, find_encoder(model).base_model)

    def pass_on(module: nn.Module, given: tuple[Any, ...], inputs: Inputs, outputs: Any) -> None:
        mask = inputs["attention_mask"]
        states = [
            pool(outputs.hidden_states[depth].float(), mask, model.exit_pooling(exit))
            for exit, depth in enumerate(model.depths)
        ]
        receive(torch.stack(states, dim=1).cpu().numpy())

    before = encoder.config.output_hidden_states
    encoder.config.output_hidden_states = True
    hook = encoder.register_forward_hook(pass_on, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
        encoder.config.output_hidden_states = before
