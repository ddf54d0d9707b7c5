"""Pixels to ask about, from stored clicks to places on the full-size image."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from fcnlab.core.learner.queries import STRATEGIES, uncertainty
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import InvalidSetting
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.labelling.queries import MOST_ASKED, Queries, ask
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.projects import projects
from tests.support import lasting
from tests.support.lasting import CAT

lab, jobs = lasting.lab, lasting.jobs


def cat(lab: Lab, *, working_side: int = 150) -> ImageInfo:
    """Three hundred rows and 451 columns, worked on at a third of that."""
    folder = Path(skimage.data.__file__).parent
    project = projects.create_project(
        lab, name=f"photos {uuid.uuid4()}", learner=LearnerSpec(working_side=working_side)
    )
    (step,) = import_files(lab, [("cat.png", folder / "chelsea.png")], project_id=project.id)
    return projects.image(lab, image_id=int(step.image_id or 0))


def click(lab: Lab, image: ImageInfo, points: list[Point]) -> None:
    add_points(lab, points, image_id=image.id, labeller="ada", source=PointSource.CLICK)


def asked(jobs: Jobs, image: ImageInfo, seed: int = 0, **options: object) -> Queries:
    return ask(jobs, image, rng=np.random.default_rng(seed), **options).result(timeout=200)  # type: ignore[arg-type]


def test_asked_pixels_are_the_doubtful_ones_of_the_newest_mask(lab: Lab, jobs: Jobs) -> None:
    image = cat(lab)
    click(lab, image, CAT)

    found = asked(jobs, image)

    assert found.source is PointSource.QUERY
    assert len(set(found.pixels)) == 10
    class_probabilities = jobs.overlay_store.class_probabilities(image.id)
    assert class_probabilities is not None
    doubts = uncertainty(class_probabilities.probabilities.astype(np.float32))
    height, width = doubts.shape
    assert (height, width) == (100, 150)
    limit = np.sort(doubts, axis=None)[-int(np.ceil(0.05 * doubts.size))]
    assert all(doubts[row * height // 300, col * width // 451] >= limit for row, col in found.pixels)


def test_while_nothing_can_be_learned_pixels_are_drawn_at_random_and_say_so(lab: Lab, jobs: Jobs) -> None:
    image = cat(lab)

    found = asked(jobs, image)

    assert found.source is PointSource.RANDOM_QUERY
    assert len(found.pixels) == 10


def test_random_pixels_are_random_whatever_the_mask(lab: Lab, jobs: Jobs) -> None:
    image = cat(lab)
    click(lab, image, CAT)

    places = np.array([pixel for seed in range(20) for pixel in asked(jobs, image, seed, strategy="random").pixels])

    assert asked(jobs, image, strategy="random").source is PointSource.RANDOM_QUERY
    assert np.abs(places.mean(axis=0) / image.hw - 0.5).max() < 0.08


@pytest.mark.parametrize("strategy", ["margin", "random"])
def test_neither_points_nor_pixels_passed_over_are_asked_about(lab: Lab, jobs: Jobs, strategy: str) -> None:
    image = cat(lab, working_side=64)
    click(lab, image, CAT)
    passed: list[tuple[int, int]] = []

    while found := asked(jobs, image, count=MOST_ASKED, strategy=strategy, avoid=passed).pixels:
        passed += found

    everything = [(row * 43 // 300, col * 64 // 451) for row, col in [*passed, *((p.row, p.col) for p in CAT)]]
    assert len(everything) > 400
    for number, one in enumerate(everything):
        assert all(max(abs(one[0] - row), abs(one[1] - col)) > 1 for row, col in everything[:number])


def test_a_click_stored_before_is_learned_from_before_anything_is_asked(lab: Lab, jobs: Jobs) -> None:
    image = cat(lab)
    click(lab, image, CAT)
    asked(jobs, image)
    before = jobs.overlay_store.overlay(image.id)
    click(lab, image, [Point(200, 30, 0)])

    asked(jobs, image)

    overlay = jobs.overlay_store.overlay(image.id)
    assert before is not None
    assert overlay is not None
    assert overlay.number > before.number


def test_probabilities_gone_from_memory_are_made_again(lab: Lab, jobs: Jobs) -> None:
    image = cat(lab)
    click(lab, image, CAT)
    first = asked(jobs, image)
    for other in range(1000, 1010):
        jobs.overlay_store.publish(
            other,
            np.zeros((2, 3), np.uint8),
            covers={},
            milliseconds=0,
            made_at=lab.clock(),
            class_probabilities=((0, 1), np.full((2, 2, 3), 0.5, np.float32)),
        )
    assert jobs.overlay_store.class_probabilities(image.id) is None

    assert asked(jobs, image) == first


def test_a_done_image_is_not_asked_about(lab: Lab, jobs: Jobs) -> None:
    image = cat(lab)
    set_image_state(lab, image_id=image.id, state=ImageState.DONE, labeller="ada")

    with pytest.raises(InvalidSetting, match="reopen"):
        ask(jobs, projects.image(lab, image_id=image.id))


@pytest.mark.parametrize("count", [0, MOST_ASKED + 1])
def test_a_senseless_number_of_pixels_is_refused(lab: Lab, jobs: Jobs, count: int) -> None:
    with pytest.raises(InvalidSetting, match="1 to 100"):
        ask(jobs, cat(lab), count=count)


def test_every_strategy_of_one_learner_can_be_asked_for(lab: Lab, jobs: Jobs) -> None:
    image = cat(lab)
    click(lab, image, CAT)

    for strategy in STRATEGIES:
        if strategy not in ("vote-entropy", "mutual-information"):
            assert len(asked(jobs, image, strategy=strategy).pixels) == 10
