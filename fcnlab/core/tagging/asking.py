"""Which image to ask about next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from fcnlab.errors import InvalidTag


def most_doubtful(probabilities: NDArray[np.float32], answered: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of images in the order in which to ask about them, those with the most doubt first.

    The doubt about an image is the sum of the entropies of its unanswered tags, the joint entropy of tags that are
    independent; images without an unanswered tag are left out. Ties stay in order.

    Args:
        probabilities: (M, K) of yes, of the learned tags.
        answered: (M, K) where somebody has answered.

    Raises:
        InvalidTag: the shapes differ, or a probability is not between 0 and 1.

    Reference: Settles 2009, "Active learning literature survey", section 3.1 (uncertainty sampling by entropy).
    """
    doubts = _doubts(probabilities, answered)
    order = np.argsort(-doubts.sum(axis=1), kind="stable")
    is_open = np.asarray((~answered).any(axis=1))
    return np.asarray(order[is_open[order]], np.int64)


def _doubts(probabilities: NDArray[np.float32], answered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(M, K) entropy, in nats, of each unanswered tag; 0 where it is answered."""
    if probabilities.shape != answered.shape or probabilities.ndim != 2:
        raise InvalidTag(
            f"probabilities are {probabilities.shape} and answers {answered.shape}: "
            "both have a row per image and a column per learned tag"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InvalidTag("a probability of a tag is not between 0 and 1: let the tagger predict again")
    sure = probabilities.astype(np.float64)
    return np.where(answered, 0.0, entr(sure) + entr(1 - sure))
