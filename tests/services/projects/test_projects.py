"""Laws of projects, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.domain.project import MAX_CLASSES, ClassLabel, LearnerSpec
from fcnlab.errors import InvalidClasses, InvalidEvent, NameTaken, UnknownImage, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.projects import projects
from fcnlab.storage.database import repository_images, repository_points, repository_projects
from fcnlab.storage.database.engine import reading, writing


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 35, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def add_images(lab: Lab, project_id: int, seeds: range) -> list[int]:
    files = [(f"{seed}.png", png(seed)) for seed in seeds]
    return [step.image_id or 0 for step in import_files(lab, files, project_id=project_id)]


def test_a_new_project_has_two_classes_and_a_key_nobody_guesses(any_lab: Lab) -> None:
    first, second = (projects.create_project(any_lab, name=name) for name in ("a", "b"))

    assert [label.name for label in first.classes] == ["background", "object"]
    assert first.key != second.key
    assert len(first.key) >= 32
    assert projects.project_by_key(any_lab, key=second.key) == second


def test_a_project_comes_back_as_it_was_made(any_lab: Lab) -> None:
    labels = (ClassLabel(7, "seven", "#112233", 1), ClassLabel(0, "zero", "#332211", 0))
    learner = LearnerSpec(scales=(1.0, 0.25), object_mode=True, regularisation=0.1)

    made = projects.create_project(any_lab, name="  my   cells ", labels=labels, learner=learner)

    found = projects.project(any_lab, project_id=made.id)
    assert found == made
    assert (found.name, found.learner) == ("my cells", learner)
    assert found.classes == labels[::-1]


def test_a_name_belongs_to_one_project(any_lab: Lab) -> None:
    first = projects.create_project(any_lab, name="a")
    second = projects.create_project(any_lab, name="b")

    with pytest.raises(NameTaken, match="already"):
        projects.create_project(any_lab, name="a")
    with pytest.raises(NameTaken, match="already"):
        projects.rename_project(any_lab, project_id=second.id, name=" a ")

    assert projects.rename_project(any_lab, project_id=first.id, name="a").name == "a"
    assert [found.name for found in projects.projects(any_lab)] == ["a", "b"]


@pytest.mark.parametrize("name", ["", "  ", "\0", "x" * 200])
def test_a_name_that_cannot_be_shown_is_refused(lab: Lab, name: str) -> None:
    with pytest.raises(InvalidEvent):
        projects.create_project(lab, name=name)


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", " a "], [str(n) for n in range(MAX_CLASSES + 1)]])
def test_a_class_list_that_is_empty_too_long_or_repeats_is_refused(lab: Lab, names: list[str]) -> None:
    with pytest.raises(InvalidClasses):
        projects.create_project(lab, name="x", labels=projects.labels_of(names))


def test_a_project_may_use_every_class_id_once(lab: Lab) -> None:
    labels = projects.labels_of([str(number) for number in range(MAX_CLASSES)])
    project = projects.create_project(lab, name="many", labels=labels)
    projects.remove_class(lab, project_id=project.id, class_id=3)

    with pytest.raises(InvalidClasses, match="255"):
        projects.add_class(lab, project_id=project.id, name="one more")


def test_an_archived_project_is_out_of_sight_until_it_is_taken_back(any_lab: Lab) -> None:
    project = projects.create_project(any_lab, name="a")

    assert projects.archive_project(any_lab, project_id=project.id).archived
    assert projects.projects(any_lab) == ()
    assert len(projects.projects(any_lab, include_archived=True)) == 1
    projects.unarchive_project(any_lab, project_id=project.id)

    assert projects.projects(any_lab) == (project,)


def test_deleting_a_project_deletes_its_own_and_nothing_of_others(any_lab: Lab) -> None:
    first, second = (projects.create_project(any_lab, name=name) for name in ("a", "b"))
    mine = add_images(any_lab, first.id, range(0, 3))
    others = add_images(any_lab, second.id, range(2, 5))
    for image_id in (mine[0], others[0]):
        add_points(any_lab, [Point(1, 2, 0)], image_id=image_id, labeller="ann", source=PointSource.CLICK)
    set_image_state(any_lab, image_id=mine[0], state=ImageState.DONE, labeller="ann")
    (any_lab.folders.masks / "1.png").write_bytes(b"mask")
    with writing(any_lab.sessions) as session:
        mask = StoredMask("1.png", "instant", "00", any_lab.clock())
        repository_images.store_mask(session, image_id=mine[0], mask=mask)

    projects.delete_project(any_lab, project_id=first.id)

    with pytest.raises(UnknownProject):
        projects.project(any_lab, project_id=first.id)
    with pytest.raises(UnknownImage):
        projects.image(any_lab, image_id=mine[0])
    assert len(list(any_lab.folders.images.rglob("*.png"))) == 3
    assert len(list(any_lab.folders.thumbs.iterdir())) == 3
    assert list(any_lab.folders.masks.iterdir()) == []
    assert projects.dashboard(any_lab, project_id=second.id).n_points == 1
    again = projects.create_project(any_lab, name="a")
    assert again.id > second.id


def test_the_dashboard_counts_what_is_there(any_lab: Lab) -> None:
    project = projects.create_project(any_lab, name="a")
    first, second, _ = add_images(any_lab, project.id, range(3))
    add_points(any_lab, [Point(1, 1, 0), Point(2, 2, 1)], image_id=first, labeller="ann", source=PointSource.CLICK)
    add_points(any_lab, [Point(3, 3, 1)], image_id=second, labeller="bob", source=PointSource.IMPORT)
    set_image_state(any_lab, image_id=second, state=ImageState.DONE, labeller="bob")

    overlay_store = projects.dashboard(any_lab, project_id=project.id)

    assert overlay_store.images == {ImageState.NEW: 1, ImageState.IN_PROGRESS: 1, ImageState.DONE: 1}
    assert overlay_store.points_by_class == {0: 1, 1: 2}
    assert overlay_store.points_by_labeller == {"ann": 2, "bob": 1}
    assert overlay_store.points_by_source[PointSource.IMPORT] == 1
    assert (overlay_store.n_images, overlay_store.n_points) == (3, 3)


def test_images_keep_the_order_they_came_in_and_know_their_neighbours(any_lab: Lab) -> None:
    project = projects.create_project(any_lab, name="a")
    other = projects.create_project(any_lab, name="b")
    ids = []
    for seed in range(5):
        ids += add_images(any_lab, project.id, range(seed, seed + 1))
        add_images(any_lab, other.id, range(seed, seed + 1))

    places = [projects.image_place(any_lab, image_id=image_id) for image_id in ids]

    assert [(place.position, place.count) for place in places] == [(n, 5) for n in range(1, 6)]
    assert [place.previous_id for place in places] == [None, *ids[:-1]]
    assert [place.next_id for place in places] == [*ids[1:], None]
    page = projects.images(any_lab, project_id=project.id, start=1, count=2)
    assert [found.id for found in page] == ids[1:3]


def test_the_point_set_hash_follows_the_points_and_nothing_else(any_lab: Lab) -> None:
    project = projects.create_project(any_lab, name="a")
    (image_id,) = add_images(any_lab, project.id, range(1))

    def now() -> str:
        with reading(any_lab.sessions) as session:
            return repository_points.point_set_hash(session, project_id=project.id)

    def add(row: int) -> None:
        add_points(any_lab, [Point(row, 5, 1)], image_id=image_id, labeller="ann", source=PointSource.CLICK)

    empty = now()
    add(3)
    one = now()
    add(4)
    two = now()
    projects.rename_project(any_lab, project_id=project.id, name="renamed")
    assert now() == two
    assert len({empty, one, two}) == 3
    projects.remove_class(any_lab, project_id=project.id, class_id=1)

    assert now() not in (empty, one, two)


def test_a_recorded_fit_is_found_newest_first(any_lab: Lab) -> None:
    project = projects.create_project(any_lab, name="a")
    with writing(any_lab.sessions) as session:
        made = [
            repository_projects.record_fit(
                session,
                project_id=project.id,
                learner=LearnerSpec(),
                point_set_hash="ab",
                n_points=number,
                checkpoint=f"{number}.safetensors",
                milliseconds=1.5,
                now=any_lab.clock(),
            )
            for number in range(2)
        ]

    assert projects.fits(any_lab, project_id=project.id) == (made[1], made[0])
