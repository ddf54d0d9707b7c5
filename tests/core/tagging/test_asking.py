from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.tagging.asking import most_doubtful
from fcnlab.errors import InvalidTag

PROBABILITIES = np.array([[0.5, 1.0], [0.9, 0.9], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.0, 1.0]], np.float32)
ANSWERED = np.array([[0, 0], [0, 0], [0, 0], [1, 1], [0, 1], [0, 0]], np.bool_)


def test_images_come_by_the_summed_entropy_of_what_is_unanswered_and_ties_in_order() -> None:
    assert most_doubtful(PROBABILITIES, ANSWERED).tolist() == [2, 0, 4, 1, 5]


def test_without_learned_tags_nobody_is_asked() -> None:
    nothing, unanswered = np.zeros((4, 0), np.float32), np.zeros((4, 0), np.bool_)

    assert most_doubtful(nothing, unanswered).tolist() == []


def test_what_does_not_fit_together_is_explained() -> None:
    with pytest.raises(InvalidTag, match="row per image"):
        most_doubtful(PROBABILITIES, ANSWERED[:3])
    with pytest.raises(InvalidTag, match="between 0 and 1"):
        most_doubtful(PROBABILITIES * 2, ANSWERED)
