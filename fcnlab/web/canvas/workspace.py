"""The label page's workspace: the scene goes out to the browser; what comes in from it is taken by `web.events`."""

from __future__ import annotations

from fcnlab.core.images.palette import unused_colours
from fcnlab.core.learner.queries import COUNT
from fcnlab.domain.events import MAX_RUNS, UNDOABLE
from fcnlab.domain.project import IGNORE, MAX_CLASSES, Project
from fcnlab.errors import FcnlabError, as_sentence
from fcnlab.services.images.pictures import tiling_of
from fcnlab.services.labelling.scenes import Scene, scene, strip
from fcnlab.services.projects.grades import grades_of
from fcnlab.validation import MAX_NAME_CHARS
from fcnlab.web import session
from fcnlab.web.canvas import canvas
from fcnlab.web.help import tour
from fcnlab.web.routes import AVOIDED_MOST, LONG_POLL_S
from fcnlab.web.session import Engine

OFFERED_COLOURS = 9
"""Colours from the palette that the browser offers for a new class."""


def draw_workspace(engine: Engine, *, project_id: int, labeller: str) -> None:
    """Draw the canvas and everything round it; call inside a fragment."""
    view = session.current_view()
    client = session.client_id()
    number, shown = numbered_scene(
        engine, project_id=project_id, image_id=view.image_id, client=client, labeller=labeller
    )
    if shown.image is not None and session.peek("opened") != shown.image.id:
        session.remember("opened", shown.image.id)
        _, following = strip(
            engine.lab, project_id=project_id, start=shown.place.position if shown.place else 0, count=2
        )
        engine.jobs.opened(project_id, shown.image.id, next_ids=[image.id for image in following])
    tour.draw_above(shown)
    canvas.draw(
        scene_data(shown, number=number, client=client, labeller=labeller, refusals=session.recall("refusals", [])),
        key=session.CANVAS_KEY,
        on_goto=_go_to,
    )


def numbered_scene(
    engine: Engine, *, project_id: int, image_id: int | None, client: str | None, labeller: str
) -> tuple[int, Scene]:
    """The scene of an image, read now, and a number that is higher than that of every scene read earlier.

    A browser gets scenes in two ways, and may get an older one after a newer one.
    """
    number = next(engine.scene_numbers)
    return number, scene(engine.lab, project_id=project_id, image_id=image_id, client_id=client, labeller=labeller)


def picture_version(project: Project) -> str:
    """Part of the addresses of pictures, which change with how they are made; empty when they are as they come."""
    return "" if project.imaging.is_default else project.imaging.digest


def scene_data(
    shown: Scene, *, number: int, client: str | None, labeller: str, refusals: list[str]
) -> canvas.SceneData:
    """The scene in the words of the component; `number` is that of `numbered_scene`."""
    project = shown.project
    grades = [label.id for label in grades_of(project)]
    return {
        "number": number,
        "revision": shown.revision,
        "project": {
            "id": project.id,
            "name": project.name,
            "key": project.key,
            "look": picture_version(project),
            "task": project.task.value,
        },
        "labeller": labeller,
        "n_images": shown.n_images,
        "classes": [
            {
                "id": label.id,
                "name": label.name,
                "colour": label.colour,
                "n_points": shown.points_per_class.get(label.id, 0),
                "is_background": label.id == project.background,
                "grade": grades.index(label.id) if label.id in grades else None,
            }
            for label in project.classes
        ],
        "colours": list(unused_colours((label.colour for label in project.classes), count=OFFERED_COLOURS)),
        "image": _image_data(shown),
        "points": [(stored.uid, stored.point.row, stored.point.col, stored.point.class_id) for stored in shown.points],
        "n_strokes": shown.n_strokes,
        "open": {"count": shown.n_open, "next_id": shown.next_open_id},
        "reversible": {
            "undo": shown.reversible.undo,
            "redo": shown.reversible.redo,
            "redo_reopens": shown.reversible.redo_reopens,
        },
        "acknowledged": {"client_id": client, "seq": shown.acknowledged} if client else None,
        "refusals": refusals,
        "object_mode": project.learner.object_mode and project.background is not None,
        "notice": None,
        "constants": constants_of(project),
    }


def _image_data(shown: Scene) -> canvas.ImageData | None:
    if shown.image is None or shown.place is None:
        return None
    tile_px, levels = tiling_of(shown.image)
    return {
        "id": shown.image.id,
        "name": shown.image.name,
        "width": shown.image.width,
        "height": shown.image.height,
        "state": shown.image.state.value,
        "is_complete": shown.image.is_complete,
        "keeps_mask": shown.image.mask_model is not None,
        "has_imported": shown.has_imported,
        "position": shown.place.position - 1,
        "previous_id": shown.place.previous_id,
        "next_id": shown.place.next_id,
        "tile_px": tile_px,
        "levels": levels,
    }


def constants_of(project: Project) -> canvas.Constants:
    """What the browser must know of this side's limits and conventions."""
    return {
        "batch": canvas.BATCH_EVENTS,
        "undoable": sorted(UNDOABLE),
        "runs": MAX_RUNS,
        "ignore": IGNORE,
        "mask_side": project.learner.working_side,
        "classes": MAX_CLASSES,
        "name_chars": MAX_NAME_CHARS,
        "queries": COUNT,
        "avoided": AVOIDED_MOST,
        "poll_s": LONG_POLL_S,
    }


def _go_to(raw: object) -> None:
    try:
        session.show(image_id=canvas.read_goto(raw))
    except FcnlabError as failure:
        session.remember("refusals", [as_sentence(str(failure))])
