"""Temperature scaling (Guo et al. 2017): one number for each exit makes confidence honest."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from cascadebert.data.predictions import Predictions
from cascadebert.data.task import DEV
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions
from cascadebert.evaluation.intervals import Resampling, WeightedStatistic, estimate
from cascadebert.evaluation.measures import build_exit_statistic

LARGEST = 20.0  # a temperature lies between 1 / LARGEST and LARGEST
MEASURES = ("dis", "ece")  # of those of `measures.measure_exits`
UNSCALED_ECE = "ece_unscaled"  # a measure of each exit beside those of `measures.measure_exits`
TEMPERATURES = (
    "task system split exit cost temperature measure unscaled scaled difference low high n "
    "replicates"
)


def fit_temperatures(dev: Predictions) -> np.ndarray:
    """The temperature of each exit with the smallest negative log-likelihood, float64 `[exits]`.

    Logits are divided by it. dev: predictions of the development split, with gold labels

    1 for an exit that gets every example right: the likelihood then has no maximum, and a
    temperature near 0 would round every confidence to 1.
    """

    def fit(logits: np.ndarray) -> float:
        if (logits.argmax(axis=-1) == dev.labels).all():
            return 1.0

        def measure_nll(log_temperature: float) -> float:
            chances = log_softmax(logits / np.exp(log_temperature), axis=-1)
            return float(-chances[np.arange(len(logits)), dev.labels].mean())

        ends = -np.log(LARGEST), np.log(LARGEST)
        return float(np.exp(minimize_scalar(measure_nll, bounds=ends, method="bounded").x))

    return np.array([fit(of_exit.astype(np.float64)) for of_exit in dev.logits.swapaxes(0, 1)])


def scale_logits(predictions: Predictions, temperatures: Sequence[float]) -> Predictions:
    """The predictions with the logits of each exit divided by its temperature, `[exits]`.

    No exit changes its most probable label.
    """
    divisors = np.asarray(temperatures, dtype=np.float64)[:, None]
    return replace(predictions, logits=predictions.logits / divisors)


def scale_system(system: SystemPredictions) -> SystemPredictions:
    """The system with a temperature for each exit, fitted for each candidate and replicate."""
    candidates, temperatures = {}, {}
    for name, replicates in system.candidates.items():
        fitted = [fit_temperatures(splits[DEV]).tolist() for splits in replicates]
        temperatures[name] = fitted
        candidates[name] = [
            {split: scale_logits(each, of) for split, each in splits.items()}
            for splits, of in zip(replicates, fitted, strict=True)
        ]
    return replace(system, candidates=candidates, temperatures=temperatures)


def compare_calibration(
    scaled: ChosenSystem, unscaled: ChosenSystem, splits: Sequence[str], resampling: Resampling
) -> pd.DataFrame:
    """DIS and ECE of each exit with and without temperature scaling, in percent.

    scaled, unscaled: the same system and choice

    difference is scaled less unscaled; low and high bound its 95% interval. It is paired over
    examples and replicates: a replicate's models are the same with and without scaling.
    Values are means over replicates, as is the temperature. With two classes, DIS stays: scaling
    keeps the order of the examples. Returns TEMPERATURES; exits are numbered from 1.
    """
    system = scaled.system
    temperatures = np.mean(system.temperatures[scaled.choice.candidate], axis=0)
    rows = []
    for split in splits:
        n, replicates = len(system.labels(split)), len(scaled.predictions(split))
        both = [build_exit_statistic(of.predictions(split), MEASURES) for of in (scaled, unscaled)]
        derived = resampling.derive("temperature", system.task, split)
        difference, low, high = estimate([_build_difference(*both)], n, derived)
        with_, without = (np.nanmean(each(np.ones((1, n))), axis=(-2, -1)) for each in both)
        for exit, cost in enumerate(scaled.predictions(split)[0].costs):
            for m, measure in enumerate(MEASURES):
                rows.append(
                    {
                        "task": system.task,
                        "system": system.system,
                        "split": split,
                        "exit": exit + 1,
                        "cost": cost,
                        "temperature": temperatures[exit],
                        "measure": measure,
                        "unscaled": without[m, exit],
                        "scaled": with_[m, exit],
                        "difference": difference[m, exit],
                        "low": low[m, exit],
                        "high": high[m, exit],
                        "n": n,
                        "replicates": replicates,
                    }
                )
    return pd.DataFrame(rows, columns=TEMPERATURES.split())


def add_unscaled_ece(scaled: pd.DataFrame, unscaled: pd.DataFrame) -> pd.DataFrame:
    """The measures of scaled systems, and UNSCALED_ECE: their ECE without temperature scaling.

    scaled, unscaled: `measures.measure_exits`, or `comparison.compare_exits`, of the same systems
    """
    ece = unscaled[unscaled["measure"] == "ece"]
    return pd.concat([scaled, ece.assign(measure=UNSCALED_ECE)], ignore_index=True)


def _build_difference(first: WeightedStatistic, second: WeightedStatistic) -> WeightedStatistic:
    """weights -> first less second, of each replicate."""
    return lambda weights: first(weights) - second(weights)
