"""Several people label at once: what their clicks teach, whose mask knows what, and what is held ready for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from fcnlab.core.learner import learner
from fcnlab.domain.events import Point
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services.live.attention import Attention
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from tests.support.live_masks import CAT, click, overlay_after, project_with


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def two_images_with_masks(lab: Lab, jobs: Jobs) -> tuple[int, dict[int, int]]:
    """A project, and the number of the overlay of each of its two images, both clicked on and opened."""
    project_id, ids = project_with(lab, "chelsea.png", "coffee.png")
    for image_id in ids:
        click(lab, image_id, CAT)
        jobs.opened(project_id, image_id)
    return project_id, {image_id: overlay_after(jobs, image_id).number for image_id in ids}


def test_what_two_people_clicked_meanwhile_is_fitted_once_and_both_masks_know_it(
    lab: Lab, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, before = two_images_with_masks(lab, jobs)
    cat, coffee = before
    fits: list[int] = []
    fit = learner.fit
    monkeypatch.setattr(learner, "fit", lambda *args, **options: fits.append(1) or fit(*args, **options))

    for image_id in (cat, coffee):
        click(lab, image_id, [Point(20, 20, 0)])
    for number, image_id in enumerate((cat, coffee)):
        jobs.clicked(project_id, image_id, client_id=f"tab-{number}", acknowledged=3)

    after = {image_id: overlay_after(jobs, image_id, before[image_id]) for image_id in (cat, coffee)}
    assert len(fits) == 1
    assert all(overlay.covers == {"tab-0": 3, "tab-1": 3} for overlay in after.values())


def test_while_others_wait_an_image_takes_the_last_head_only_if_that_knows_its_own_points(lab: Lab) -> None:
    project_id, ids = project_with(lab, "chelsea.png", "coffee.png")
    cat, coffee = (projects.image(lab, image_id=image_id) for image_id in ids)
    for image_id in ids:
        click(lab, image_id, CAT)
    follower = ProjectLearner(lab, PictureStore(lab), project_id=project_id)
    follower.refresh()
    for image in (cat, coffee):
        follower.learn_from(image)
    first = follower.newest_head()

    click(lab, coffee.id, [Point(20, 20, 0)])
    follower.refresh()
    follower.learn_from(coffee)
    follower.others_wait = True

    assert follower.head_for(cat) is first
    assert follower.is_behind
    follower.is_behind = False
    newest = follower.head_for(coffee)
    assert newest is not first
    assert follower.head_for(cat) is newest
    click(lab, cat.id, [Point(21, 21, 0)])
    follower.refresh()
    follower.others_wait = False
    follower.learn_from(cat)
    assert follower.head_for(coffee) is not newest
    assert not follower.is_behind


def test_a_mask_made_in_a_hurry_covers_the_events_on_its_image_and_is_made_again(
    lab: Lab, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, before = two_images_with_masks(lab, jobs)
    cat, coffee = before
    covers: list[dict[str, int]] = []
    publish = jobs.overlay_store.publish

    def noted(image_id: int, *args: Any, **options: Any) -> Any:
        if image_id == cat:
            covers.append(dict(options["covers"]))
        return publish(image_id, *args, **options)

    monkeypatch.setattr(jobs.overlay_store, "publish", noted)
    monkeypatch.setattr(jobs._compute, "has_waiting", lambda _: True)
    jobs._attention.clicked(project_id, coffee, client_id="tab-coffee", acknowledged=9)
    click(lab, coffee, [Point(20, 20, 0)])
    jobs.clicked(project_id, cat, client_id="tab-cat", acknowledged=7)

    overlay_after(jobs, coffee, before[coffee])
    for _ in range(200):
        if len(covers) == 2:
            break
        time.sleep(0.05)
    assert covers == [{"tab-cat": 7}, {"tab-cat": 7, "tab-coffee": 9}]


def test_who_goes_through_many_images_looks_at_one_and_an_answer_out_of_order_takes_nothing_back() -> None:
    attention = Attention()
    for image_id in range(1, 9):
        attention.watch(1, image_id, client_id="Ada's tab")
    attention.watch(1, 3, client_id="Bob's tab")
    attention.clicked(1, 3, client_id="Bob's tab", acknowledged=6)
    attention.clicked(1, 3, client_id="Bob's tab", acknowledged=5)

    assert attention.n_tabs() == 2
    assert attention.begin(1, 3).everywhere == {"Bob's tab": 6}


def test_as_many_pictures_are_held_ready_as_are_looked_at(lab: Lab) -> None:
    _, ids = project_with(lab, "chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")
    spec, pictures = LearnerSpec(working_side=128), PictureStore(lab)
    images = [projects.image(lab, image_id=image_id) for image_id in ids]

    def held() -> list[bool]:
        for image in images:
            pictures.picture(image, spec)
        return [pictures.is_ready(image, spec) for image in images]

    assert held() == [False, False, True, True]
    pictures.expect(4)
    assert held() == [True] * 4
    pictures.expect(0)
    pictures.picture(images[0], LearnerSpec(working_side=64))
    assert sum(pictures.is_ready(image, spec) for image in images) == 1
