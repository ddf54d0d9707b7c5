"""The counts of all images of a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fcnlab.lab import Lab
from fcnlab.services.counting import instant_counter
from fcnlab.services.counting.project_counts import CountProgress, counts_of_project
from fcnlab.services.labelling.events import points_of_image, remove_points
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from tests.services.counting.test_counting_live import DISCS, click, counting_project, say_complete

FEWER = [(30, 40), (40, 110), (90, 60)]
MORE = [*FEWER, (95, 120), (60, 170)]


def counted(lab: Lab, project_id: int) -> Iterator[CountProgress]:
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project_id)
    return counts_of_project(lab, lambda work: work(learner), project_id=project_id)


def test_every_image_is_counted_and_those_all_marked_say_how_far_off_the_others_may_be(
    lab: Lab, tmp_path: Path
) -> None:
    project_id, images = counting_project(lab, tmp_path, DISCS, FEWER, MORE)
    click(lab, images[0], DISCS)
    click(lab, images[1], FEWER)
    say_complete(lab, project_id, images[0], seq=1)
    say_complete(lab, project_id, images[1], seq=2)

    steps = list(counted(lab, project_id))

    found = {one.image.id: one for one in steps if one.image is not None}
    assert set(found) == set(images)
    assert [one.done for one in steps] == list(range(1, len(steps) + 1))
    marked = found[images[0]]
    assert marked.count is not None
    assert marked.predicted is not None
    assert (marked.count.counts[0].count, marked.count.counts[0].is_exact) == (8, True)
    assert marked.predicted.counts[0].marked == 8
    assert abs(marked.predicted.counts[0].count - 8) <= 2
    other = found[images[2]]
    assert other.count is not None
    own = other.count.counts[0]
    assert own.low is not None
    assert own.high is not None
    assert own.low <= own.count <= own.high


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_counted(lab: Lab, tmp_path: Path) -> None:
    project_id, images = counting_project(lab, tmp_path, DISCS, MORE)
    click(lab, images[0], DISCS[:3])
    for path in lab.folders.images.rglob("*.png"):
        with_more = path.stat().st_size
        if path.name.startswith(_hash_of(lab, images[1])):
            path.write_bytes(b"no picture" * (with_more // 10))

    found = {one.image.id: one for one in counted(lab, project_id) if one.image is not None}

    assert found[images[0]].count is not None
    assert found[images[1]].count is None
    assert found[images[1]].refused


@pytest.mark.parametrize("wanted", [0, 1])
def test_single_images_may_be_asked_for(lab: Lab, tmp_path: Path, wanted: int) -> None:
    project_id, images = counting_project(lab, tmp_path, DISCS, MORE)
    click(lab, images[0], DISCS[:3])
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project_id)

    steps = list(counts_of_project(lab, lambda work: work(learner), project_id=project_id, image_ids=[images[wanted]]))

    assert [one.image.id for one in steps if one.image is not None] == [images[wanted]]


def _hash_of(lab: Lab, image_id: int) -> str:
    return projects.image(lab, image_id=image_id).content_hash


def test_a_lesson_that_is_not_at_hand_is_made_again_and_taken_away(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, images = counting_project(lab, tmp_path, DISCS, MORE)
    click(lab, images[0], DISCS[:4])
    monkeypatch.setattr(instant_counter, "SAMPLES_KEPT", 1)
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project_id)
    learner.refresh()
    shown = learner.count(projects.image(lab, image_id=images[0]))

    click(lab, images[1], [(10, 10), (100, 190)])
    learner.refresh()
    for image in learner.images_to_learn_from():
        learner.learn_from(image)
    stored = points_of_image(lab, image_id=images[1])
    remove_points(lab, [one.uid for one in stored], image_id=images[1], labeller="ada")
    learner.refresh()
    again = learner.count(projects.image(lab, image_id=images[0]))

    assert again.count.counts == shown.count.counts
    np.testing.assert_allclose(again.probabilities, shown.probabilities, atol=1e-4)
