"""Comparing networks on the same images: paired differences, and who would be best on other images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["bootstrap_probability_best", "paired_difference"]

_NUM_RESAMPLES = 1000


def paired_difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[float, float]:
    """Mean score of `a` minus that of `b`, and the standard error of that difference.

    Args:
        a: the task's score of each image, shape (num_images,); with classes 1 and 0 for right and wrong.
        b: the same for the other network, the same images in the same order.
    """
    differences = a.astype(float) - b.astype(float)
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def bootstrap_probability_best(scores: Sequence[NDArray[np.floating]], index: int, *, seed: int = 0) -> float:
    """How often network `index` has the highest mean score when the images are drawn again with replacement.

    Args:
        scores: one array of shape (num_images,) for each network; ties share the win.
        index: the network in question.
        seed: of the resampling.
    """
    scores_NI = np.array(scores, dtype=np.float64)
    num_images = scores_NI.shape[1]
    rng = np.random.default_rng(seed)
    counts_RI = rng.multinomial(num_images, np.full(num_images, 1.0 / num_images), size=_NUM_RESAMPLES)
    sums_RN = counts_RI @ scores_NI.T
    best_RN = sums_RN == sums_RN.max(axis=1, keepdims=True)
    return float(np.mean(best_RN[:, index] / best_RN.sum(axis=1)))
