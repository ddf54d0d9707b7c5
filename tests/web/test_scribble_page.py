"""The scribble page, without a browser."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from fcnlab.domain.events import PointSource
from fcnlab.domain.images import ImageState
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_image, set_image_state
from fcnlab.services.projects import projects
from tests.web.test_drawing import BOX, LINE, drawing
from tests.web.test_pages import filled, labels, page


def drawn(shown: AppTest, image_id: int, *shapes: dict[str, Any], turn: int = 0) -> AppTest:
    """The page after something was drawn."""
    value = {"drawing": {"raw": drawing(*shapes), "data": None}, "backgroundFit": None}
    shown.session_state[f"scribble-{image_id}-Normal-{turn}"] = value
    shown.run()
    assert not shown.exception
    return shown


def press(shown: AppTest, label: str) -> AppTest:
    next(button for button in shown.button if button.label.startswith(label)).click().run()
    assert not shown.exception
    return shown


def test_the_page_says_what_is_missing(lab: Lab) -> None:
    assert "no project yet" in page("scribble").info[0].value
    projects.create_project(lab, name="cells")

    shown = page("scribble")

    assert "no images yet" in shown.info[0].value
    assert "Go to projects" in labels(shown)


def test_nothing_can_be_stored_before_something_was_drawn(lab: Lab) -> None:
    filled(lab)

    shown = page("scribble")

    assert next(button for button in shown.button if button.label == "Save").disabled
    (canvas,) = shown.get("bidi_component")
    assert '"drawingMode": "freedraw"' in canvas.proto.json
    assert '"canvasHeight": 384' in canvas.proto.json  # the small picture of 48 x 70 pixels, eight times enlarged
    assert "data:image/jpeg;base64" in canvas.proto.json


def test_what_was_drawn_is_stored_shown_and_taken_back(lab: Lab) -> None:
    _, (image_id, _) = filled(lab)
    shown = drawn(page("scribble"), image_id, LINE, BOX)
    label = next(button.label for button in shown.button if button.label.startswith("Save"))

    press(shown, "Save")

    points = points_of_image(lab, image_id=image_id)
    assert label == f"Save {len(points)} points"
    assert {one.source for one in points} == {PointSource.SCRIBBLE}
    assert {one.point.class_id for one in points} == {1}
    assert {one.labeller for one in points} == {"ann"}
    assert f"{len(points)} points saved" in shown.success[0].value
    press(shown, "Undo")
    assert points_of_image(lab, image_id=image_id) == ()
    press(shown, "Undo")
    assert "nothing of yours" in shown.error[0].value


def test_a_done_image_cannot_be_drawn_on(lab: Lab) -> None:
    _, (image_id, _) = filled(lab)
    set_image_state(lab, image_id=image_id, state=ImageState.DONE, labeller="ann")

    shown = page("scribble")

    assert "This image is done" in shown.info[0].value
    (canvas,) = shown.get("bidi_component")
    assert '"disabled": true' in canvas.proto.json


def test_a_drawing_that_cannot_be_read_is_explained(lab: Lab) -> None:
    _, (image_id, _) = filled(lab)

    shown = drawn(page("scribble"), image_id, {**BOX, "type": "Circle"})

    assert "draw a line, a polygon or a box" in shown.error[0].value
