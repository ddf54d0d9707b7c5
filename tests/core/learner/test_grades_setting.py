"""Which classes are grades, as a setting of the learner."""

from __future__ import annotations

import json

import pytest

from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import InvalidSetting


def test_grades_come_back_from_json_and_settings_without_them_read_as_in_earlier_versions():
    graded = LearnerSpec(grades=(3, 0, 7))

    assert LearnerSpec.from_dict(json.loads(json.dumps(graded.to_dict()))) == graded
    assert "grades" not in LearnerSpec().to_dict()
    assert LearnerSpec.from_dict(LearnerSpec().to_dict()).grades == ()


@pytest.mark.parametrize("grades", [(1,), (1, 2, 1), (0, 255), (-1, 2)])
def test_grades_that_are_no_order_of_classes_are_refused(grades):
    with pytest.raises(InvalidSetting, match="grades"):
        LearnerSpec(grades=grades)


def test_grades_of_a_set_of_classes_keep_their_order_and_one_alone_is_none():
    spec = LearnerSpec(grades=(3, 0, 7))

    assert spec.grades_of({7, 3, 5}) == (3, 7)
    assert spec.grades_of([0, 1, 2]) == ()
