"""How far states tell the labels apart: a number, and a map in the plane."""

import numpy as np
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

LARGEST = 2**32  # scikit-learn takes smaller seeds alone; an experiment may have any


def silhouette(states: np.ndarray, labels: np.ndarray) -> float:
    """How far the labels are apart in the space of the states, in [-1, 1] (Rousseeuw 1987).

    The mean over examples of (b - a) / max(a, b), where a is the mean Euclidean distance to the
    other examples of its label and b that to the examples of the nearest other label; 0 is "not at
    all apart". NaN if all examples have one label, or each has its own.
    """
    if not 1 < len(np.unique(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(states, labels))


def tsne(states: np.ndarray, seed: int) -> np.ndarray:
    """The states in the plane, near ones near (van der Maaten and Hinton 2008), `[examples, 2]`.

    Perplexity 30, or less for fewer than about 90 examples.
    """
    perplexity = min(30.0, (len(states) - 1) / 3)
    # Threads add up in any order, and t-SNE makes another picture of the last digit.
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, random_state=seed % LARGEST).fit_transform(states)
