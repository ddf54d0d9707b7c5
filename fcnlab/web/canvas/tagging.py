"""The component that tags whole images: what it is shown and what it sends.

Its JavaScript is `assets/tagging.js`. What is said of images it asks the route in `web.tag_answers` for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from fcnlab.core.tagging.from_labels import UNKNOWN
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.errors import InvalidEvent
from fcnlab.services.images.pictures import tiling_of
from fcnlab.services.tags.answering import NumberedChange
from fcnlab.services.tags.jobs import TagsAtWork
from fcnlab.services.tags.reading import ProjectTags
from fcnlab.web.canvas import canvas
from fcnlab.web.canvas.workspace import picture_version

BATCH_ANSWERS = 500
"""The browser sends so many answers at a time and waits for the answer."""

ASKED_AHEAD = 12
"""Images that are asked about next, as a browser is told them: more than anybody answers before the server does."""

_NAME = "fcnlab.tagging"
_MARKUP = '<div class="fcnlab-survey fcnlab-tags" style="visibility:hidden"></div>'
_ASSETS = Path(__file__).parent / "assets"
_STYLES = ("answering.css", "tagging.css")


class TaggingData(TypedDict):
    """What the component begins with; of images it asks when it shows them.

    Attributes:
        key: the unguessable part of the project's routes; `look` names how its pictures are made.
        classes: id, name and colour of each, in the order of their keys.
        images: ids, in import order.
        start: id of the image of the address; None: the one that is most in doubt is shown.
        batch: so many answers are taken at a time.
    """

    key: str
    look: str
    labeller: str
    classes: list[tuple[int, str, str]]
    images: list[int]
    start: int | None
    batch: int


def tagging_data(tags: ProjectTags, *, labeller: str, start: int | None = None) -> TaggingData:
    """What the component is shown of a project; `start` of another one is none."""
    project = tags.project
    return {
        "key": project.key,
        "look": picture_version(project),
        "labeller": labeller,
        "classes": [(label.id, label.name, label.colour) for label in project.classes],
        "images": [image.id for image in tags.images],
        "start": start if start in tags.row_of else None,
        "batch": BATCH_ANSWERS,
    }


def news_data(at_work: TagsAtWork, images: tuple[ImageInfo, ...], *, passed: tuple[int, ...]) -> dict[str, Any]:
    """What the component is told again and again.

    Args:
        at_work: tags and suggestions.
        images: those that the browser shows now and soon, of the project.
        passed: ids of images that are asked about last.
    """
    tags = at_work.tags
    return {
        "order": list(at_work.in_doubt(count=ASKED_AHEAD, last=passed)),
        "images": [_image(at_work, image) for image in images],
        "known": int((tags.values != UNKNOWN).all(axis=1).sum()),
        "total": at_work.total,
        "looked": at_work.done,
        "message": at_work.message,
        "behind": at_work.suggestions.is_behind,
    }


def _image(at_work: TagsAtWork, image: ImageInfo) -> dict[str, Any]:
    """An image, and of each class its id, the answer, what labels say, which ones, and its probability."""
    probabilities = at_work.suggestions.of_image(image.id)
    tile_px, levels = tiling_of(image)
    said = [
        (
            class_id,
            state.answer if state.source == "answered" else None,
            state.labelled,
            state.labelled_by,
            round(probabilities[class_id], 3) if class_id in probabilities else None,
        )
        for class_id, state in at_work.tags.states(image.id).items()
    ]
    about = {"id": image.id, "name": image.name, "width": image.width, "height": image.height}
    return about | {"levels": levels, "tile_px": tile_px, "tags": said}


def draw(data: TaggingData, *, key: str) -> None:
    """Show the component."""
    _component()(key=key, data=data)


@cache
def _component() -> ComponentRenderer:
    """Registered at the first use, once per process; it looks like the one that asks about points."""
    css = "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in _STYLES)
    return st.components.v2.component(_NAME, html=_MARKUP, css=css, js="tagging.js")


def read_tags(raw: object) -> tuple[str, tuple[NumberedChange, ...]]:
    """The client id of a browser tab, and the answers it sent. Raises InvalidEvent for anything else."""
    client_id, log = canvas.read_log(raw, most=2 * BATCH_ANSWERS, what="the log of tags")
    return client_id, tuple(_read_change(entry) for entry in log)


def _read_change(raw: object) -> NumberedChange:
    entry = canvas.mapping(raw, what="a tag")
    payload = canvas.mapping(entry.get("payload"), what="the payload of a tag")
    seq, image_id, class_id = (
        canvas.integer(entry, "seq"),
        canvas.integer(entry, "image_id"),
        canvas.integer(payload, "class"),
    )
    change = TagChange(image_id, class_id, _read_answer(payload, "answer"))
    return NumberedChange(seq, change, "before" in payload, _read_answer(payload, "before"))


def _read_answer(payload: dict[str, Any], key: str) -> TagAnswer | None:
    given = payload.get(key)
    if given not in (None, *TagAnswer):
        raise InvalidEvent(f"{str(given)[:80]!r} is no answer of a tag; wanted yes, no, or nothing")
    return None if given is None else TagAnswer(given)
