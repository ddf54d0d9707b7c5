"""From log odds to probabilities: what a network says of images it did not learn from, next to the answers there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

SLOPE_PRIOR = 4.0
"""How firmly the common slope is held near one, on the scale of its logarithm, in units of cross-entropy."""

TAG_SLOPE_PRIOR = 20.0
"""How firmly the slope of a tag is held near the common one: with few answers it is the common one."""

INTERCEPT_PRIOR = 2.0
"""How firmly the intercept of a tag is held near the log odds of its answers."""

LARGEST_LOG_SLOPE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The probability of yes is expit(slope * log odds + intercept).

    Attributes:
        slopes, intercepts: (K,) float64, slopes above zero: calibration never changes the order of images.
        n_answers: (K,) int64 answers about images the network had not learned from, from which they come.
    """

    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    n_answers: NDArray[np.int64]

    def probabilities(self, log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, K) float32 of log odds (N, K)."""
        return np.asarray(expit(self.slopes * log_odds + self.intercepts), np.float32)


def calibrated(log_odds: NDArray[np.float32], answers: NDArray[np.int8], is_held_out: NDArray[np.bool_]) -> Calibration:
    """Platt scaling of each tag (Platt 1999), whose slope is as near to that of all tags as its answers are few.

    Networks learn with yes and no counting alike, so that the intercept starts at the log odds of the answers.
    Without any image that was held out, that and a slope of one are all there is.

    Args:
        log_odds: (N, K) of networks that did not learn from the image.
        answers: (N, K) int8, 1, 0 or -1.
        is_held_out: (N, K), where log odds are such.

    Reference: Guo et al. 2017, arXiv:1706.04599, for the common slope (temperature).
    """
    used = is_held_out & (answers >= 0)
    n_yes, n_no = (answers == 1).sum(axis=0), (answers == 0).sum(axis=0)
    usual = np.asarray(logit((n_yes + 1) / (n_yes + n_no + 2)), np.float64)
    n_tags = answers.shape[1]
    if not used.any():
        return Calibration(np.ones(n_tags), usual, np.zeros(n_tags, np.int64))
    scores, truth = np.where(used, log_odds, 0).astype(np.float64), answers == 1

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        common, each, shift = flat[0], flat[1 : 1 + n_tags], flat[1 + n_tags :]
        slopes = np.exp(np.clip(common + each, -LARGEST_LOG_SLOPE, LARGEST_LOG_SLOPE))
        margins = slopes * scores + usual + shift
        loss = np.where(used, np.logaddexp(0, margins) - truth * margins, 0).sum()
        penalty = SLOPE_PRIOR * common**2 + TAG_SLOPE_PRIOR * each @ each + INTERCEPT_PRIOR * shift @ shift
        residuals = np.where(used, expit(margins) - truth, 0)
        by_slope = (residuals * scores).sum(axis=0) * slopes
        by_each = by_slope + 2 * TAG_SLOPE_PRIOR * each
        by_shift = residuals.sum(axis=0) + 2 * INTERCEPT_PRIOR * shift
        gradient = np.concatenate([[by_slope.sum() + 2 * SLOPE_PRIOR * common], by_each, by_shift])
        return float(loss + penalty), gradient

    flat = minimize(objective, np.zeros(1 + 2 * n_tags), jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    slopes = np.exp(np.clip(flat[0] + flat[1 : 1 + n_tags], -LARGEST_LOG_SLOPE, LARGEST_LOG_SLOPE))
    return Calibration(slopes, usual + flat[1 + n_tags :], np.asarray(used.sum(axis=0), np.int64))
