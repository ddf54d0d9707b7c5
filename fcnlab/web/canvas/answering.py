"""The component that asks about the points of a survey: what it is shown and what it sends.

Its JavaScript is `assets/answering.js`. It is shown neither masks nor figures: nothing leads the eyes of who answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypedDict

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.domain.survey import Survey, SurveyAnswer, SurveyPoint
from fcnlab.errors import InvalidEvent
from fcnlab.services.images.pictures import tiling_of
from fcnlab.services.surveys.answering import NumberedAnswer
from fcnlab.web.canvas import canvas
from fcnlab.web.canvas.workspace import picture_version

BATCH_ANSWERS = 500
"""The browser sends so many answers at a time and waits for the answer."""

UNKNOWN = -1
"""How a browser says "don't know"."""

_NAME = "fcnlab.answering"
_MARKUP = '<div class="fcnlab-survey" style="visibility:hidden"></div>'


class AnsweringData(TypedDict):
    """All points at once, so that no answer waits for the server.

    Attributes:
        key: the unguessable part of the project's routes; `look` names how its pictures are made.
        classes: id, name and colour of each, in the order of their keys.
        images: id, name, width, height and levels of tiles (0: shown whole) of each image that is asked about.
        points: id, place of the image in `images`, row, column, and the answer: a class id, UNKNOWN, or None.
    """

    key: str
    look: str
    survey_id: int
    survey_name: str
    labeller: str
    classes: list[tuple[int, str, str]]
    images: list[tuple[int, str, int, int, int]]
    points: list[tuple[int, int, int, int, int | None]]
    tile_px: int
    batch: int
    unknown: int


def answering_data(
    project: Project,
    survey: Survey,
    points: Sequence[SurveyPoint],
    images: Sequence[ImageInfo],
    *,
    labeller: str,
) -> AnsweringData:
    """What the component is shown of a survey."""
    asked = list(dict.fromkeys(point.image_id for point in points))
    by_id = {image.id: image for image in images}
    place = {image_id: index for index, image_id in enumerate(asked)}
    shown = [by_id[image_id] for image_id in asked]
    return {
        "key": project.key,
        "look": picture_version(project),
        "survey_id": survey.id,
        "survey_name": survey.spec.name,
        "labeller": labeller,
        "classes": [(label.id, label.name, label.colour) for label in project.classes],
        "images": [(image.id, image.name, image.width, image.height, tiling_of(image)[1]) for image in shown],
        "points": [
            (point.id, place[point.image_id], point.row, point.col, UNKNOWN if point.is_unknown else point.class_id)
            for point in points
        ],
        "tile_px": tiling_of(shown[0])[0] if shown else 0,
        "batch": BATCH_ANSWERS,
        "unknown": UNKNOWN,
    }


def draw(data: AnsweringData, *, key: str, on_left: Callable[[], None]) -> None:
    """Show the component; `on_left` runs before the script's body once the report is wanted."""
    _component()(key=key, data=data, on_left_change=on_left)


@cache
def _component() -> ComponentRenderer:
    """Registered at the first use, once per process."""
    return st.components.v2.component(_NAME, html=_MARKUP, css="answering.css", js="answering.js")


def read_answers(raw: object) -> tuple[str, tuple[NumberedAnswer, ...]]:
    """The client id of a browser tab, and the answers it sent. Raises InvalidEvent for anything else."""
    client_id, log = canvas.read_log(raw, most=2 * BATCH_ANSWERS, what="the log of answers")
    return client_id, tuple(_read_answer(entry) for entry in log)


def _read_answer(raw: object) -> NumberedAnswer:
    entry = canvas.mapping(raw, what="an answer")
    payload = canvas.mapping(entry.get("payload"), what="the payload of an answer")
    point_id, seq = canvas.integer(payload, "point"), canvas.integer(entry, "seq")
    value = None if payload.get("value") is None else canvas.integer(payload, "value")
    if value is not None and value < UNKNOWN:
        raise InvalidEvent(f"{value} is neither a class nor {UNKNOWN} for: don't know")
    if value is None or value == UNKNOWN:
        return NumberedAnswer(seq, SurveyAnswer(point_id, is_unknown=value == UNKNOWN))
    return NumberedAnswer(seq, SurveyAnswer(point_id, value))
