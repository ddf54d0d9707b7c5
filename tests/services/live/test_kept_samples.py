"""Laws of samples: what was learned before, kept on the disk or taken back leaves no trace in a mask."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from fcnlab import PointSegmenter
from fcnlab.domain.events import EventKind, Point, PointSource
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, points_of_image, remove_points
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from fcnlab.settings import Settings
from tests.support.tabs import Tab

HW = (96, 128)
SPEC = LearnerSpec(object_mode=True)
Masks = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    for number, picture in enumerate((skimage.data.chelsea(), skimage.data.coffee())):
        Image.fromarray(picture[60 : 60 + HW[0], 120 : 120 + HW[1]]).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def project_with(lab: Lab, photos: list[Path], *, name: str = "photos") -> tuple[int, list[int]]:
    project = projects.create_project(lab, name=name, learner=SPEC)
    steps = list(import_files(lab, [(one.name, one) for one in photos], project_id=project.id))
    return project.id, [int(step.image_id or 0) for step in steps]


def click(lab: Lab, image_id: int, points: list[Point]) -> None:
    add_points(lab, points, image_id=image_id, labeller="ada", source=PointSource.CLICK)


def random_points(rng: random.Random, count: int) -> list[Point]:
    pixels = rng.sample(range(HW[0] * HW[1]), count)
    return [Point(*divmod(pixel, HW[1]), number % 2) for number, pixel in enumerate(pixels)]


def newest(lab: Lab, image_id: int) -> list[Point]:
    """The points that count: of several on a pixel the newest."""
    return [one.point for one in newest_per_pixel(points_of_image(lab, image_id=image_id))]


def started(lab: Lab, project_id: int) -> ProjectLearner:
    """The learner of a process that just started."""
    return ProjectLearner(lab, PictureStore(lab), project_id=project_id)


def masks(lab: Lab, learner: ProjectLearner, images: list[int]) -> Masks:
    learner.refresh()
    source = learner.source()
    return [predicted_mask(learner, projects.image(lab, image_id=one), source) for one in images]


def of_a_fresh_project(lab: Lab, images: list[int], photos: list[Path], folder: Path) -> Masks:
    """Masks of an installation that never saw anything but the points of now."""
    fresh = open_lab(Settings(data_dir=folder, device="cpu"))
    project_id, copies = project_with(fresh, photos)
    for image_id, copy in zip(images, copies, strict=True):
        click(fresh, copy, newest(lab, image_id))
    found = masks(fresh, started(fresh, project_id), copies)
    fresh.close()
    return found


def of_a_segmenter(lab: Lab, images: list[int], photos: list[Path]) -> Masks:
    segmenter = PointSegmenter(["background", "object"], device="cpu", **SPEC.to_dict())
    names = []
    for image_id, photo in zip(images, photos, strict=True):
        points = newest(lab, image_id)
        name = segmenter.add_image(np.asarray(Image.open(photo)))
        segmenter.add_points(name, *np.array([(one.row, one.col, one.class_id) for one in points]).reshape(-1, 3).T)
        names.append(name)
    segmenter.fit()
    return [segmenter.predict(name) for name in names]


def assert_equal(found: Masks, expected: Masks) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(3))
def test_any_history_ends_at_the_masks_of_a_fresh_project_with_the_same_points(
    lab: Lab, photos: list[Path], tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    project_id, images = project_with(lab, photos)
    tabs = [Tab(lab, project_id=project_id, image_id=one, client=f"client-{one}") for one in images]
    learner = started(lab, project_id)
    for image_id in images:
        click(lab, image_id, random_points(rng, 3))

    def many() -> None:
        click(lab, rng.choice(images), random_points(rng, 70))

    def few() -> None:
        click(lab, rng.choice(images), random_points(rng, 2))

    def fewer() -> None:
        image_id = rng.choice(images)
        uids = [one.uid for one in points_of_image(lab, image_id=image_id)]
        remove_points(lab, rng.sample(uids, len(uids) * 9 // 10), image_id=image_id, labeller="ada")

    def undone() -> None:
        tab = rng.choice(tabs)
        tab.do(rng.choice([EventKind.CLEAR, EventKind.UNDO, EventKind.REDO]))

    def learned() -> None:
        learner.refresh()
        for image in learner.images_to_learn_from():
            learner.learn_from(image)

    def kept() -> None:
        learned()
        learner.keep_samples()

    steps: list[Callable[[], None]] = [many, few, fewer, undone, learned, kept, kept]
    for _ in range(25):
        rng.choice(steps)()
        if rng.random() < 0.3:
            learner = started(lab, project_id)
    for image_id in images:  # two classes, whatever is left
        click(lab, image_id, random_points(rng, 2))
    crowded = sum(len(points_of_image(lab, image_id=one)) for one in images) > 64
    for image_id in images if crowded else ():  # samples of few points are the ones that went stale
        uids = [one.uid for one in points_of_image(lab, image_id=image_id)][8:]
        remove_points(lab, uids, image_id=image_id, labeller="ada")

    expected = of_a_fresh_project(lab, images, photos, tmp_path / "fresh")
    assert_equal(masks(lab, learner, images), expected)
    assert_equal(masks(lab, started(lab, project_id), images), expected)
    assert_equal(of_a_segmenter(lab, images, photos), expected)


def test_a_lesson_of_many_points_does_not_serve_where_there_are_few(
    lab: Lab, photos: list[Path], tmp_path: Path
) -> None:
    """Learned beside many points, kept, then learned again by a project with the same clicks and no others."""
    rng = random.Random(11)
    clicks = random_points(rng, 4)
    crowded_id, (first, second) = project_with(lab, photos)
    click(lab, first, clicks)
    click(lab, second, random_points(rng, 70))
    learner = started(lab, crowded_id)
    masks(lab, learner, [first])
    learner.keep_samples()

    project_id, images = project_with(lab, photos, name="the same photos")
    click(lab, images[0], clicks)

    expected = of_a_fresh_project(lab, images, photos, tmp_path / "fresh")
    assert_equal(masks(lab, started(lab, project_id), images), expected)
    uids = [one.uid for one in points_of_image(lab, image_id=second)]
    remove_points(lab, uids, image_id=second, labeller="ada")
    assert_equal(masks(lab, started(lab, crowded_id), [first, second]), expected)


def test_weights_and_the_background_are_part_of_a_lesson(lab: Lab, photos: list[Path]) -> None:
    project_id, images = project_with(lab, photos)
    click(lab, images[0], random_points(random.Random(3), 6))
    learner = started(lab, project_id)
    learner.refresh()
    (image,) = learner.images_to_learn_from()
    clicks, store = learner.clicks_of(image), PictureStore(lab)
    extracted = {one: store.extract_samples(image, clicks, SPEC, background=one) for one in (0, 1, None)}
    for background, image_samples in extracted.items():
        store.keep_samples(image, clicks, SPEC, image_samples, background=background, neighbours=True)

    for background, image_samples in extracted.items():
        again = PictureStore(lab).extract_samples(image, clicks, SPEC, background=background)
        assert (again.border is None) == (background is None) == (image_samples.border is None)
        if again.border is not None and image_samples.border is not None:
            np.testing.assert_array_equal(again.border.class_ids, image_samples.border.class_ids)
            np.testing.assert_array_equal(again.border.features, image_samples.border.features)
