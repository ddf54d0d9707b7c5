"""Laws of scribbles, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fcnlab.domain.events import EventKind, Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import InvalidPoints, UnknownImage
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.effects import MAX_SCRIBBLED
from fcnlab.services.labelling.events import points_of_image
from fcnlab.services.labelling.scribbles import scribble_picture, store_scribble, undo_last
from fcnlab.services.projects import projects
from tests.support.tabs import HEIGHT, WIDTH, Tab, state_of

DRAWN = [Point(row, col, row % 2) for row in range(5) for col in range(0, 60, 7)]


def test_the_points_of_a_scribble_are_stored_together_and_say_where_they_come_from(tab: Tab) -> None:
    stored = store_scribble(tab.lab, DRAWN, image_id=tab.image_id, labeller="ann")

    points = points_of_image(tab.lab, image_id=tab.image_id)
    assert {one.point for one in points} == set(DRAWN)
    assert {one.source for one in points} == {PointSource.SCRIBBLE}
    assert len({one.uid for one in points}) == len(DRAWN)
    assert stored.n_points == {0: 27, 1: 18}
    assert state_of(tab) is ImageState.IN_PROGRESS


def test_one_undo_takes_a_scribble_back_and_one_redo_brings_it_again(tab: Tab) -> None:
    tab.add(20, 20)
    store_scribble(tab.lab, DRAWN, image_id=tab.image_id, labeller="ann")

    assert not tab.do(EventKind.UNDO).refusals
    assert tab.points() == {Point(20, 20, 0)}
    assert not tab.do(EventKind.REDO).refusals

    assert tab.points() == {*DRAWN, Point(20, 20, 0)}


def test_the_page_takes_back_what_was_done_last_be_it_a_click(tab: Tab) -> None:
    store_scribble(tab.lab, DRAWN, image_id=tab.image_id, labeller="ann")
    tab.add(20, 20)

    undo_last(tab.lab, image_id=tab.image_id, labeller="ann")
    assert tab.points() == set(DRAWN)
    undo_last(tab.lab, image_id=tab.image_id, labeller="ann")
    assert tab.points() == set()
    with pytest.raises(InvalidPoints, match="nothing of yours"):
        undo_last(tab.lab, image_id=tab.image_id, labeller="ann")


@pytest.mark.parametrize("wrong", [Point(HEIGHT, 0, 0), Point(0, WIDTH, 0), Point(-1, 0, 0), Point(0, 0, 9)])
def test_one_point_that_cannot_be_stored_keeps_all_of_them_out(tab: Tab, wrong: Point) -> None:
    with pytest.raises(InvalidPoints):
        store_scribble(tab.lab, [*DRAWN, wrong], image_id=tab.image_id, labeller="ann")

    assert tab.points() == set()
    assert state_of(tab) is ImageState.NEW


def test_a_done_image_an_unknown_one_and_an_empty_drawing_are_refused(tab: Tab) -> None:
    with pytest.raises(InvalidPoints, match="nothing was drawn"):
        store_scribble(tab.lab, [], image_id=tab.image_id, labeller="ann")
    with pytest.raises(UnknownImage):
        store_scribble(tab.lab, DRAWN, image_id=9999, labeller="ann")
    tab.do(EventKind.STATE, state="done")

    with pytest.raises(InvalidPoints, match="reopen it"):
        store_scribble(tab.lab, DRAWN, image_id=tab.image_id, labeller="ann")
    assert tab.points() == set()


@pytest.mark.parametrize(
    "points",
    [None, [], "abc", [[1, 2]], [[1, 2, True]], [[1, 2, 0.5]], [[1, "2", 0]], [3], [[0, 0, 0]] * (MAX_SCRIBBLED + 1)],
)
def test_an_event_that_is_no_scribble_is_refused_and_blocks_nothing(tab: Tab, points: object) -> None:
    applied = tab.send(tab.event(EventKind.SCRIBBLE, points=points), tab.event(EventKind.ADD, row=1, col=1, class_id=0))

    assert [refusal.seq for refusal in applied.refusals] == [1]
    assert tab.points() == {Point(1, 1, 0)}


def test_the_picture_to_draw_on_shows_the_points_of_now_and_is_no_larger_than_asked(lab: Lab) -> None:
    project = projects.create_project(lab, name="cells", learner=LearnerSpec())
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((100, 160, 3), np.uint8)).save(buffer, format="PNG")
    (step,) = import_files(lab, [("a.png", buffer.getvalue())], project_id=project.id)
    store_scribble(lab, [Point(50, 80, 1)], image_id=step.image_id or 0, labeller="ann")
    image = projects.image(lab, image_id=step.image_id or 0)

    shown = np.asarray(Image.open(io.BytesIO(scribble_picture(lab, image, side=80))))

    assert shown.shape == (50, 80, 3)
    colour = np.array([int(project.classes[1].colour[k : k + 2], 16) for k in (1, 3, 5)])
    assert np.abs(shown[25, 40].astype(int) - colour).max() < 40
    assert shown[5, 5].max() < 20
