"""Labelling a wide image: the clicked tile first, the rest behind, and the mask that leaves is that of the whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fcnlab.core.tiling import wide
from fcnlab.core.tiling.tiles import Box
from fcnlab.domain.project import IGNORE
from fcnlab.errors import NoPoints
from fcnlab.lab import Lab
from fcnlab.services.live import picture_store
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.live.wide_masks import WideMasks
from fcnlab.services.projects import projects
from tests.support.chosen_bench import shown_by
from tests.support.export_bench import Bench

CLICKS = ((40, 60, 1), (5, 130, 0), (90, 5, 0))


@pytest.fixture
def bench(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Discs, wide by the rules of these tests: four tiles of working pictures of 88 x 128."""
    monkeypatch.setattr(wide, "WIDE_PIXELS", 1000)
    monkeypatch.setattr(picture_store, "TILE_SIDE", 64)
    return Bench(lab, tmp_path / "out", ["one.png", "two.png"])


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def test_the_tile_just_clicked_comes_first_and_the_others_follow(bench: Bench) -> None:
    pictures = PictureStore(bench.lab)
    learner, masks = ProjectLearner(bench.lab, pictures, project_id=bench.project.id), WideMasks(pictures)
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    bench.click("one.png", *CLICKS)
    learner.refresh()
    while masks.encode_next(learner, image):
        pass
    known = []
    while masks.progress(learner, image) < 1:
        known.append((masks.update(learner, image)[0].class_map != IGNORE).mean())
    assert len(known) == 4
    assert known == sorted(known)
    assert known[0] < 0.5
    assert known[-1] == 1

    bench.click("one.png", (85, 135, 1))  # the last tile
    learner.refresh()
    before = masks.update(learner, image)[0].class_map

    assert masks.progress(learner, image) == 0.25
    assert before[int(85.5 * 88 / 96), int(135.5 * 128 / 140)] == 1


def test_a_click_that_would_wait_for_a_tile_is_answered_by_the_picture_made_coarse(bench: Bench) -> None:
    pictures = PictureStore(bench.lab)
    learner, masks = ProjectLearner(bench.lab, pictures, project_id=bench.project.id), WideMasks(pictures)
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    bench.click("one.png", *CLICKS)
    learner.refresh()

    coarse, box = masks.update(learner, image)

    picture = pictures.wide_picture(image, learner.project.learner)  # type: ignore[union-attr]
    assert len(picture.waiting) == 4
    assert masks.has_pending_tile(learner, image)
    assert masks.progress(learner, image) == 0
    assert box == Box(0, 0, 88, 128)
    assert {0, 1} == set(np.unique(coarse.class_map))
    assert coarse.class_map[int(40.5 * 88 / 96), int(60.5 * 128 / 140)] == 1
    assert (coarse.probabilities[:, 2, 2] != 0.5).all()

    masks.update(learner, image)
    assert not masks.has_pending_tile(learner, image)
    while masks.progress(learner, image) < 1:
        masks.update(learner, image)
    finished, _ = masks.update(learner, image)
    other = WideMasks(pictures)
    while other.progress(learner, image) < 1:
        other.update(learner, image)
    assert np.array_equal(finished.class_map, other.update(learner, image)[0].class_map)


def test_two_classes_are_needed_before_anything_is_encoded_and_clicked_tiles_are_encoded_first(bench: Bench) -> None:
    pictures = PictureStore(bench.lab)
    learner, masks = ProjectLearner(bench.lab, pictures, project_id=bench.project.id), WideMasks(pictures)
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    bench.click("one.png", (85, 135, 1))
    learner.refresh()

    with pytest.raises(NoPoints):
        masks.update(learner, image)
    masks.encode_next(learner, image)

    assert pictures.wide_picture(image, learner.project.learner).waiting == (0, 1, 2)  # type: ignore[union-attr]


def test_tiles_are_encoded_ahead_those_near_where_somebody_looks_first(bench: Bench) -> None:
    pictures = PictureStore(bench.lab)
    learner, masks = ProjectLearner(bench.lab, pictures, project_id=bench.project.id), WideMasks(pictures)
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    learner.refresh()
    assert learner.project is not None
    waiting = []

    masks.viewport_moved(image.id, (0.9, 0.9))
    while masks.encode_next(learner, image):
        waiting.append(pictures.wide_picture(image, learner.project.learner).waiting)

    assert waiting[0] == (0, 1, 2)
    assert [len(one) for one in waiting] == [3, 2, 1]
    assert pictures.wide_picture(image, learner.project.learner).waiting == ()


def test_an_image_that_is_looked_at_is_encoded_before_anybody_clicks(bench: Bench, jobs: Jobs) -> None:
    jobs.watch(bench.project.id, bench.images["one.png"])

    deadline = time.monotonic() + 60
    while len(list(bench.lab.folders.features.rglob("*wide64-*"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)

    assert len(list(bench.lab.folders.features.rglob("*wide64-*"))) == 4


def test_the_label_page_shows_the_whole_image_once_nobody_clicks(bench: Bench, jobs: Jobs) -> None:
    image_id = bench.images["one.png"]
    jobs.watch(bench.project.id, image_id)
    bench.click("one.png", *CLICKS)
    shown_by(jobs, bench, "one.png")

    deadline = time.monotonic() + 60
    while jobs.overlay_store.status(image_id).phase != "idle" and time.monotonic() < deadline:
        time.sleep(0.02)
    shown = shown_by(jobs, bench, "one.png")

    assert shown.shape == (88, 128)
    assert IGNORE not in np.unique(shown)
    rows, cols = np.mgrid[:88, :128]
    disc = (rows * 96 / 88 - 40) ** 2 + (cols * 140 / 128 - 60) ** 2 < 30**2
    assert ((shown == 1) & disc).sum() / ((shown == 1) | disc).sum() > 0.8


def test_the_mask_that_leaves_does_not_depend_on_how_the_image_was_labelled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = PictureStore(bench.lab)
    learner, masks = ProjectLearner(bench.lab, pictures, project_id=bench.project.id), WideMasks(pictures)
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    bench.click("one.png", *CLICKS)
    learner.refresh()
    masks.update(learner, image)
    labelled = predicted_mask(learner, image, learner.source_of(learner.cold_model()))

    monkeypatch.setattr(wide, "WIDE_PIXELS", 10**9)
    other = ProjectLearner(bench.lab, PictureStore(bench.lab), project_id=bench.project.id)
    other.refresh()

    assert np.array_equal(labelled, predicted_mask(other, image, other.source_of(other.cold_model())))
    assert 0 < (labelled == 1).mean() < 1
