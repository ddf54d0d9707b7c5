"""Background work: from stored clicks to overlays, and what follows a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import IGNORE, LearnerSpec
from fcnlab.errors import DatabaseUnavailable, FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import add_points, points_of_image, set_image_state
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.live_sources import InstantSource
from fcnlab.services.live.masks import kept_mask
from fcnlab.services.live.overlay_store import Overlay
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.models.models import keep_instant, use_model
from fcnlab.services.projects import projects
from fcnlab.services.projects.projects import set_background
from fcnlab.storage.database import repository_points
from fcnlab.storage.database.engine import writing
from tests.support.live_masks import CAT, click, overlay_after, project_with


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def class_map(overlay: Overlay) -> NDArray[np.uint8]:
    return overlay.class_map


def test_clicks_become_an_overlay_that_obeys_them(lab: Lab, jobs: Jobs) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, CAT)

    jobs.clicked(project_id, image_id, client_id="tab-12345", acknowledged=2)
    overlay = overlay_after(jobs, image_id)

    assert overlay.covers == {"tab-12345": 2}
    for point in CAT:
        assert class_map(overlay)[point.row, point.col] == point.class_id


def test_an_encoded_image_is_on_the_disk_soon_after_its_mask_is_shown(lab: Lab, jobs: Jobs) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, CAT)

    jobs.opened(project_id, image_id)
    overlay_after(jobs, image_id)

    deadline = time.monotonic() + 20
    while not (written := list((lab.folders.features / "stages").rglob("*.safetensors"))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    store = PictureStore(lab)
    assert len(written) == 1
    assert store.picture(projects.images(lab, project_id=project_id)[0], LearnerSpec(object_mode=True)).hw == (300, 451)
    assert len(list((lab.folders.features / "stages").rglob("*.safetensors"))) == 1  # it was read, not made again


def test_the_background_alone_gives_no_mask_and_the_status_says_what_does(lab: Lab, jobs: Jobs) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, [replace(CAT[0], class_id=0)])

    jobs.opened(project_id, image_id)

    assert "only background so far: click a pixel of object" in said(jobs, image_id)
    assert jobs.overlay_store.overlay(image_id) is None


def test_one_click_gives_a_first_mask_that_says_what_it_is(lab: Lab, jobs: Jobs) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, [one for one in CAT if one.class_id == 1][:1])

    jobs.opened(project_id, image_id)

    assert "a first guess: click a pixel of background" in said(jobs, image_id)
    overlay = jobs.overlay_store.overlay(image_id)
    assert overlay is not None
    assert set(np.unique(class_map(overlay))) == {0, 1}
    assert len(points_of_image(lab, image_id=image_id)) == 1, "nothing of the guess is stored"
    set_background(lab, project_id=project_id, class_id=None)
    jobs.changed(project_id)
    for _ in range(2400):
        if "only object so far" in jobs.overlay_store.status(image_id).message:
            break
        time.sleep(0.05)
    assert "only object so far" in jobs.overlay_store.status(image_id).message
    after = jobs.overlay_store.overlay(image_id)
    assert after is not None
    assert (class_map(after) == IGNORE).all(), "without a background nothing stands for it"


def said(jobs: Jobs, image_id: int) -> str:
    """What the status says is missing."""
    for _ in range(2400):
        if jobs.overlay_store.status(image_id).phase == "missing":
            break
        time.sleep(0.05)
    return jobs.overlay_store.status(image_id).message


def test_points_of_other_images_are_learned_from_after_a_restart(lab: Lab, jobs: Jobs) -> None:
    project_id, (cat, coffee) = project_with(lab, "chelsea.png", "coffee.png")
    click(lab, cat, CAT)

    jobs.opened(project_id, coffee)
    first = overlay_after(jobs, coffee)

    assert len(np.unique(class_map(first))) == 2


def test_a_done_image_keeps_its_mask_whatever_is_clicked_elsewhere(lab: Lab, jobs: Jobs) -> None:
    project_id, (cat, coffee) = project_with(lab, "chelsea.png", "coffee.png")
    click(lab, cat, CAT)
    set_image_state(lab, image_id=cat, state=ImageState.DONE, labeller="ada")
    jobs.clicked(project_id, cat, client_id="tab-12345", acknowledged=3)
    overlay_after(jobs, cat)
    before = kept_mask(lab, projects.image(lab, image_id=cat))

    click(lab, coffee, [Point(200, 300, 1), Point(5, 5, 0), Point(390, 590, 0)])
    jobs.clicked(project_id, coffee, client_id="tab-12345", acknowledged=6)
    overlay_after(jobs, coffee)
    after = kept_mask(lab, projects.image(lab, image_id=cat))

    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before, after)
    set_image_state(lab, image_id=cat, state=ImageState.IN_PROGRESS, labeller="ada")
    assert kept_mask(lab, projects.image(lab, image_id=cat)) is None


@pytest.mark.parametrize("damage", ["original", "model"])
def test_a_done_image_without_a_mask_says_why_it_cannot_be_made(lab: Lab, jobs: Jobs, damage: str) -> None:
    project_id, (cat, coffee) = project_with(lab, "chelsea.png", "coffee.png")
    click(lab, cat, CAT)
    kept = jobs.run(lambda learner: keep_instant(lab, learner, labeller="ada"), project_id=project_id).result()
    use_model(lab, project_id=project_id, model_id=kept.id)
    set_image_state(lab, image_id=coffee, state=ImageState.DONE, labeller="ada")
    for file in [lab.folders.checkpoints / kept.file] if damage == "model" else lab.folders.images.rglob("*.png"):
        file.unlink()

    with closing(Jobs(lab)) as fresh:
        fresh.opened(project_id, coffee)
        for _ in range(2400):
            if fresh.overlay_store.status(coffee).phase in ("error", "missing"):
                break
            time.sleep(0.05)
        status = fresh.overlay_store.status(coffee)

    assert status.phase == "error"
    assert kept.file in status.message if damage == "model" else "original" in status.message


def test_an_unreadable_original_becomes_a_message_not_a_crash(lab: Lab, jobs: Jobs) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, CAT)
    for file in lab.folders.images.rglob("*.png"):
        file.unlink()

    jobs.opened(project_id, image_id)

    for _ in range(2400):
        if jobs.overlay_store.status(image_id).phase == "error":
            break
        time.sleep(0.05)
    assert "restore it" in jobs.overlay_store.status(image_id).message


def status_with(jobs: Jobs, image_id: int, text: str) -> str:
    """The status of an image as soon as it says this."""
    for _ in range(2400):
        message = jobs.overlay_store.status(image_id).message
        if text in message:
            return message
        time.sleep(0.05)
    raise AssertionError(f"{text!r} was not said: {jobs.overlay_store.status(image_id)}")


@pytest.mark.parametrize(
    "failure",
    [MemoryError(), RuntimeError("a fault"), cv2.error("a fault"), DatabaseUnavailable("the database is busy")],
)
def test_an_image_that_fails_for_a_while_is_said_and_learned_from_later_and_the_others_at_once(
    lab: Lab, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    project_id, (first, second, shown) = project_with(lab, "chelsea.png", "coffee.png", "rocket.jpg")
    click(lab, first, CAT)
    click(lab, second, [Point(200, 300, 1), Point(5, 5, 0)])
    learn_from, passed = ProjectLearner.learn_from, threading.Event()

    def failing(learner: ProjectLearner, image: ImageInfo) -> None:
        if image.id == first and not passed.is_set():
            raise failure
        learn_from(learner, image)

    monkeypatch.setattr(ProjectLearner, "learn_from", failing)
    monkeypatch.setattr("fcnlab.services.live.jobs.FIRST_RETRY_S", 0.2)

    jobs.opened(project_id, shown)
    message = status_with(jobs, shown, "tried again")
    overlay = jobs.overlay_store.overlay(shown)

    assert "learned from 1 of 2" in message
    assert "chelsea.png" in message
    assert overlay is not None
    assert [one for one in caplog.records if one.exc_info] or isinstance(failure, FcnlabError)
    passed.set()
    assert overlay_after(jobs, shown, overlay.number)
    assert jobs._learner(project_id).n_images() == 2
    assert not jobs._learner(project_id).left_out()


def test_a_fault_in_making_a_mask_is_said_with_what_to_do_and_the_next_one_is_made(
    lab: Lab, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, CAT)
    with monkeypatch.context() as patch:
        patch.setattr("fcnlab.services.live.fitting.segment_any", broken)
        jobs.opened(project_id, image_id)
        message = status_with(jobs, image_id, "click")

    assert "your clicks are saved" in message.lower()
    assert any(one.exc_info for one in caplog.records)
    jobs.clicked(project_id, image_id, client_id="tab-12345", acknowledged=2)
    assert overlay_after(jobs, image_id).covers == {"tab-12345": 2}


def test_an_overlay_says_how_long_its_parts_took_and_they_make_up_the_whole(lab: Lab, jobs: Jobs) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, CAT)

    jobs.opened(project_id, image_id)
    overlay = overlay_after(jobs, image_id)

    parts = ["wait", "read", "encode", "samples", "fit", "score", "walk", "refine", "paint", "publish"]
    assert list(overlay.spans) == parts
    assert min(overlay.spans.values()) >= 0
    assert sum(overlay.spans.values()) == pytest.approx(overlay.milliseconds)


def test_ranking_goes_on_after_images_that_fail(lab: Lab, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    project_id, (cat, coffee) = project_with(lab, "chelsea.png", "coffee.png")
    click(lab, cat, CAT)
    unrefined, failures = InstantSource.unrefined, iter([MemoryError(), RuntimeError("a fault")])

    def failing(source: InstantSource, image: ImageInfo) -> Any:
        for failure in failures:
            raise failure
        return unrefined(source, image)

    monkeypatch.setattr(InstantSource, "unrefined", failing)
    jobs.opened(project_id, cat)
    overlay_after(jobs, cat)
    for _ in range(2400):
        ranking = jobs.gains.ranking(project_id)
        if set(ranking.gains) == {cat, coffee}:
            break
        time.sleep(0.05)

    assert set(jobs.gains.ranking(project_id).gains) == {cat, coffee}


def test_nothing_is_remembered_of_a_project_that_was_deleted_nor_of_tabs_that_closed(
    lab: Lab, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    click(lab, image_id, CAT)
    for number in range(30):
        jobs.clicked(project_id, image_id, client_id=f"tab-{number:05}", acknowledged=2)
    assert len(overlay_after(jobs, image_id).covers) == 30

    monkeypatch.setattr("fcnlab.services.live.attention.FORGOTTEN_AFTER_S", 0.0)
    jobs.watch(project_id, 999_999)  # another image makes it look through what it remembers
    assert not jobs._attention._covered
    assert set(jobs._attention._images) == {999_999}

    projects.delete_project(lab, project_id=project_id)
    jobs.clicked(project_id, image_id, client_id="tab-12345", acknowledged=3)
    status_with(jobs, image_id, "deleted")
    assert not jobs._learners
    assert not jobs._attention._covered


def broken(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("a fault")


def test_a_cold_model_does_not_depend_on_what_was_fitted_before(lab: Lab) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    store = PictureStore(lab)
    warm = ProjectLearner(lab, store, project_id=project_id)
    for number in (2, 3, 4):
        click(lab, image_id, [*CAT, Point(280, 10, 0), Point(60, 300, 1)][number - 2 : number])
        warm.refresh()
        for image in warm.images_to_learn_from():
            warm.learn_from(image)
        if number > 2:
            warm.fit()
    fresh = ProjectLearner(lab, store, project_id=project_id)
    fresh.refresh()

    first, second = warm.cold_model().head, fresh.cold_model().head

    np.testing.assert_array_equal(first.weights, second.weights)
    np.testing.assert_array_equal(first.bias, second.bias)


def test_a_model_of_few_points_is_the_same_after_there_were_many_for_a_while(lab: Lab) -> None:
    project_id, (image_id,) = project_with(lab, "chelsea.png")
    store = PictureStore(lab)
    follower = ProjectLearner(lab, store, project_id=project_id)
    click(lab, image_id, CAT)
    follower.refresh()
    before = follower.cold_model().head
    rng = np.random.default_rng(0)
    others = zip(rng.integers(0, 300, 70).tolist(), rng.integers(0, 451, 70).tolist(), [0, 1] * 35, strict=True)
    many = add_points(lab, [Point(*one) for one in others], image_id=image_id, labeller="bob", source=PointSource.CLICK)
    follower.refresh()
    follower.cold_model()
    follower.keep_samples()

    assert many.changed_images == {image_id}
    with writing(lab.sessions) as session:
        stored = repository_points.points_of_image(session, image_id=image_id)
        gone = [one.uid for one in stored if one.labeller == "bob"]
        repository_points.hide_made(session, project_id=project_id, uids=gone, now=lab.clock())
    follower.refresh()

    np.testing.assert_array_equal(follower.cold_model().head.weights, before.weights)
