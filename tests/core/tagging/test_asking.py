from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.tagging.asking import most_doubtful, most_doubtful_tag
from fcnlab.errors import InvalidTag

PROBABILITIES = np.array([[0.5, 1.0], [0.9, 0.9], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.0, 1.0]], np.float32)
ANSWERED = np.array([[0, 0], [0, 0], [0, 0], [1, 1], [0, 1], [0, 0]], np.bool_)


def test_images_come_by_the_summed_entropy_of_what_is_unanswered_and_ties_in_order() -> None:
    assert most_doubtful(PROBABILITIES, ANSWERED).tolist() == [2, 0, 4, 1, 5]


def test_an_answer_takes_its_tag_out_of_question() -> None:
    assert most_doubtful_tag(PROBABILITIES, ANSWERED).tolist() == [0, 0, 0, -1, 0, 0]
    assert most_doubtful_tag(PROBABILITIES[:, ::-1], ANSWERED).tolist() == [1, 0, 0, -1, 0, 0]


def test_without_learned_tags_nobody_is_asked() -> None:
    nothing, unanswered = np.zeros((4, 0), np.float32), np.zeros((4, 0), np.bool_)

    assert most_doubtful(nothing, unanswered).tolist() == []
    assert most_doubtful_tag(nothing, unanswered).tolist() == [-1] * 4


def test_what_does_not_fit_together_is_explained() -> None:
    with pytest.raises(InvalidTag, match="row per image"):
        most_doubtful(PROBABILITIES, ANSWERED[:3])
    with pytest.raises(InvalidTag, match="between 0 and 1"):
        most_doubtful(PROBABILITIES * 2, ANSWERED)
