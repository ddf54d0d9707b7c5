"""Comparisons and expert masks in a project whose classes are grades."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fcnlab.commands.comparing import table, to_dict
from fcnlab.domain.comparison import LINEAR, ComparisonSpec
from fcnlab.domain.scores import PointScore
from fcnlab.errors import InvalidSetting
from fcnlab.lab import Lab, open_lab
from fcnlab.services.comparing import comparisons
from fcnlab.services.comparing.truth_scores import truth_scores
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.models.models import keep_instant
from fcnlab.services.training.worker import fine_tune, run_worker
from fcnlab.settings import Settings
from tests.support.graded import SMALL, GradedSite
from tests.support.label_imports import give_truth

SPEC = ComparisonSpec(
    (replace(SMALL, n_classes=2, order="cumulative"), replace(SMALL, n_classes=2, order="none")),
    minutes=0.01,
    holdout=0.34,
    working_side=80,
)


@pytest.fixture
def real_lab(settings: Settings) -> Iterator[Lab]:
    """Its clock is the real one, since leases live by it."""
    lab = open_lab(settings)
    yield lab
    lab.close()


def test_networks_that_differ_in_their_use_of_the_order_stand_side_by_side(real_lab: Lab) -> None:
    site = GradedSite(real_lab, 4)
    made = comparisons.start_comparison(real_lab, project_id=site.project_id, spec=SPEC, labeller="ann")

    run_worker(real_lab, project_id=site.project_id, trainer=fine_tune, idle_s=0)

    status = comparisons.comparison_status(real_lab, comparison_id=made.id)
    assert [one.title for one in status.participants if one.training] == [
        "U-Net, cumulative logits",
        "U-Net, no order",
    ]
    scores = [one.measured.score for one in status.participants if one.measured is not None]
    assert len(scores) == 3
    for score in scores:
        assert isinstance(score, PointScore)
        assert score.grades is not None
        assert score.grades.n_images in (1, 2)
    heading = table(status)[0]
    assert heading.index("95 % CI") < heading.index("MAE in grades") < heading.index("kappa") < heading.index("mIoU")
    values = to_dict(status)
    assert values["spec"]["grades"] == list(site.grades)
    (instant,) = [one for one in values["participants"] if one["key"] == LINEAR]
    assert instant["measured"]["score"]["grades"]["mae"] is not None


def test_a_comparison_without_grades_refuses_an_order_and_says_nothing_of_grades(real_lab: Lab) -> None:
    site = GradedSite(real_lab, 4, has_grades=False)
    plain = replace(SPEC, networks=(SMALL,))

    with pytest.raises(InvalidSetting) as refused:
        comparisons.start_comparison(real_lab, project_id=site.project_id, spec=SPEC, labeller="ann")
    made = comparisons.start_comparison(real_lab, project_id=site.project_id, spec=plain, labeller="ann")

    status = comparisons.comparison_status(real_lab, comparison_id=made.id)
    assert "needs grades" in str(refused.value)
    assert "grades" not in made.spec
    assert "kappa" not in "\n".join(table(status))


def test_expert_masks_tell_how_far_grades_are_off(lab: Lab, tmp_path: Path) -> None:
    site = GradedSite(lab, 2)
    learner = ProjectLearner(lab, PictureStore(lab), project_id=site.project_id)
    kept = keep_instant(lab, learner, labeller="ann")
    give_truth(lab, tmp_path, site.project_id, {f"{number}.png": mask for number, mask in enumerate(site.masks)})

    *_, last = truth_scores(lab, lambda work: work(learner), project_id=site.project_id, versions=(None, kept))

    assert last.scores is not None
    for score in last.scores:
        grades = score.grades
        assert grades is not None
        assert grades.mae is not None
        assert grades.kappa is not None
        assert grades.n_images == 2
        n_graded = sum(int((mask != site.ids[0]).sum()) for mask in site.masks)
        assert grades.n_points + grades.lost == n_graded
        assert grades.mae < 1
        assert grades.kappa > 0.5
