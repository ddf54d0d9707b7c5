"""The scribble page: a picture to draw on, and what becomes of the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from fcnlab.core.images.scribbles import Shape, points_of_shapes
from fcnlab.domain.events import Point
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.errors import FcnlabError
from fcnlab.services.labelling.scribbles import scribble_picture, store_scribble, undo_last
from fcnlab.services.projects.projects import images as project_images
from fcnlab.web import frame, session
from fcnlab.web.canvas.drawing import ink_of, inks, read_drawing
from fcnlab.web.panels.projects.dashboard import legend
from fcnlab.web.session import Engine, escape_markdown

OFFERED = 500
"""Images to choose from: a longer list helps nobody find one."""

TOOLS = {"freedraw": "Free hand", "polygon": "Polygon", "rect": "Box"}
HOW = {
    "freedraw": "Draw a line along the object: its points are saved.",
    "polygon": "Click corner after corner, and the first one again to close it: points inside are saved.",
    "rect": "Drag a box over an area that is one class throughout: points inside are saved.",
}
LINE_PX = {"freedraw": 8, "polygon": 2, "rect": 2}
SIZES = {"Normal": (900, 560), "Large": (1440, 860)}
"""Width and height of the picture at most, in CSS pixels."""

MOST_ENLARGED = 8

FILL_OPACITY = "40"
"""Of areas, as the last two digits of a colour."""


@st.fragment
def draw(engine: Engine, project: Project, labeller: str) -> None:
    """Choices, the picture, and the button that stores; reruns alone."""
    images = project_images(engine.lab, project_id=project.id, count=OFFERED)
    if not images:
        frame.lead(project, frame.NO_IMAGES, to="projects")
        return
    side, main = st.columns([2, 7], gap="medium")
    with side:
        image = _chosen_image(images)
        class_id, tool, size = _choices(project)
    with main:
        drawing, drawn_hw = _canvas(engine, project, image, ink_of(project.classes, class_id), tool, size)
    with side:
        _outcome(engine, project, image, labeller, _shapes(project, drawing), drawn_hw)


def _chosen_image(images: Sequence[ImageInfo]) -> ImageInfo:
    by_id = {image.id: image for image in images}
    wanted = session.current_view().image_id
    start = list(by_id).index(wanted) if wanted in by_id else 0
    picked: int = st.selectbox("Image", list(by_id), index=start, format_func=lambda image_id: by_id[image_id].name)
    return by_id[picked]


def _choices(project: Project) -> tuple[int, str, str]:
    """Class, tool and size of the picture."""
    names = {label.id: label.name for label in project.classes}
    st.html(legend([(label.name, label.colour) for label in project.classes]))
    class_id: int = st.selectbox("Class", list(names), index=min(1, len(names) - 1), format_func=names.__getitem__)
    tool = st.segmented_control("Tool", list(TOOLS), default="freedraw", format_func=TOOLS.__getitem__) or "freedraw"
    st.caption(HOW[tool])
    size = st.segmented_control("Image size", list(SIZES), default="Normal") or "Normal"
    return class_id, tool, size


def _canvas(
    engine: Engine, project: Project, image: ImageInfo, ink: str, tool: str, size: str
) -> tuple[object, tuple[int, int]]:
    """The picture to draw on; what is drawn, and its height and width."""
    from streamlit_drawable_canvas import st_canvas

    turn = session.peek("scribble_turn", 0)
    drawn_hw = _drawn_hw(image, size)
    result: Any = st_canvas(
        background_image=_picture(engine, project, image, drawn_hw, turn),
        height=drawn_hw[0],
        width=drawn_hw[1],
        drawing_mode=tool,
        stroke_color=ink,
        fill_color=f"{ink}{FILL_OPACITY}",
        stroke_width=LINE_PX[tool],
        disabled=image.state is ImageState.DONE,
        key=f"scribble-{image.id}-{size}-{turn}",  # another key empties it
    )
    return result.json_data, drawn_hw


def _picture(engine: Engine, project: Project, image: ImageInfo, drawn_hw: tuple[int, int], turn: int) -> bytes:
    """The picture with the points stored so far, made again when they change."""
    key = (image.id, image.n_points, project.classes, drawn_hw, turn)
    kept = session.peek("scribble_picture")
    if kept is None or kept[0] != key:
        kept = (key, scribble_picture(engine.lab, image, side=max(drawn_hw)))
        session.remember("scribble_picture", kept)
    picture: bytes = kept[1]
    return picture


def _drawn_hw(image: ImageInfo, size: str) -> tuple[int, int]:
    """Height and width at which a picture is drawn on: as large as it fits, small ones enlarged."""
    width, height = SIZES[size]
    scale = min(width / image.width, height / image.height, MOST_ENLARGED)
    return max(1, round(image.height * scale)), max(1, round(image.width * scale))


def _shapes(project: Project, drawing: object) -> list[Shape]:
    try:
        return read_drawing(drawing, inks(project.classes))
    except FcnlabError as failure:
        session.explained(failure)
        return []


def _outcome(
    engine: Engine, project: Project, image: ImageInfo, labeller: str, shapes: list[Shape], drawn_hw: tuple[int, int]
) -> None:
    """What would be stored, the buttons, and what the last one did."""
    is_done = image.state is ImageState.DONE
    if is_done:
        st.info("This image is done. Reopen it on the **Label** page to add points.", icon=":material/lock:")
    points = points_of_shapes(shapes, drawn_hw=drawn_hw, image_hw=image.hw)
    words = f"Save {len(points)} points" if points else "Save"
    with st.container(horizontal=True):
        stores = st.button(words, type="primary", icon=":material/check:", disabled=is_done or not points)
        undoes = st.button("Undo", icon=":material/undo:", disabled=is_done, help="Take back what you did last here.")
    if points:
        shapes_in_words = "1 shape" if len(shapes) == 1 else f"{len(shapes)} shapes"
        st.text(f"From {shapes_in_words}: {_in_words(points, project.classes)}.")
    elif not is_done:
        st.caption("Nothing is drawn yet. Draw in several classes, then save all of it at once.")
    if stores or undoes:
        _change(engine, project, image, labeller, points if stores else None)
    _report(project, image)


def _change(engine: Engine, project: Project, image: ImageInfo, labeller: str, points: list[Point] | None) -> None:
    """Store the points, or take back what was done last; then begin with an empty drawing."""
    try:
        if points is None:
            client_id, words = undo_last(engine.lab, image_id=image.id, labeller=labeller), "Taken back."
        else:
            client_id = store_scribble(engine.lab, points, image_id=image.id, labeller=labeller).client_id
            words = f"{len(points)} points saved: {_in_words(points, project.classes)}."
    except FcnlabError as failure:
        session.explained(failure)
        return
    engine.jobs.clicked(project.id, image.id, client_id=client_id, acknowledged=1)
    session.remember("scribbled", (image.id, words))
    session.remember("scribble_turn", session.peek("scribble_turn", 0) + (0 if points is None else 1))
    st.rerun()


def _report(project: Project, image: ImageInfo) -> None:
    report = session.peek("scribbled")
    if report is None or report[0] != image.id:
        return
    st.success(escape_markdown(report[1]), icon=":material/check_circle:")
    if st.button("See the mask", icon=":material/arrow_forward:", type="tertiary"):
        st.switch_page("pages/label.py", query_params={"project": str(project.id), "image": str(image.id)})


def _in_words(points: Sequence[Point], classes: Sequence[ClassLabel]) -> str:
    counts = {label.name: sum(point.class_id == label.id for point in points) for label in classes}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
