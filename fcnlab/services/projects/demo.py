"""The demo project: real photographs that scikit-image ships, with a few points on the first."""

from __future__ import annotations

from pathlib import Path

from fcnlab.domain.events import Event, EventBatch, EventKind
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import apply_events
from fcnlab.services.projects.projects import create_project, delete_project
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import reading

DEMO_NAME = "Demo"
DEMO_CLIENT = "demo-project-seed"
DEMO_LABELLER = "demo"
DEMO_IMAGES = (
    ("cat", "chelsea.png"),
    ("coffee", "coffee.png"),
    ("astronaut", "astronaut.png"),
    ("rocket", "rocket.jpg"),
    ("coins", "coins.png"),
    ("retina", "retina.jpg"),
    ("immunohistochemistry", "ihc.png"),
    ("motorcycle", "motorcycle_left.png"),
    ("page", "page.png"),
    ("deep field", "hubble_deep_field.jpg"),
)
CAT_POINTS = ((120, 230, 1), (255, 330, 1), (10, 440, 0), (60, 425, 0))
"""Row, column and class id of the points on the cat."""


def make_demo(lab: Lab) -> int | None:
    """Make the demo project when the database is new; returns its id, None when there was a project already.

    Raises:
        FcnlabError: it cannot be made whole; nothing of it stays.
    """
    if not lab.settings.demo:
        return None
    with reading(lab.sessions) as session:
        if repository_projects.projects(session, include_archived=True):
            return None
    project = create_project(lab, name=DEMO_NAME, learner=LearnerSpec(object_mode=True))
    try:
        _fill(lab, project.id)
    except FcnlabError:  # else half a demo would stay for good
        delete_project(lab, project_id=project.id)
        raise
    return project.id


def _fill(lab: Lab, project_id: int) -> None:
    """Bring the pictures and points of the demo into a project."""
    imported = {
        step.name: step.image_id
        for step in import_files(lab, _files(), project_id=project_id)
        if step.image_id is not None
    }
    cat = next((image_id for name, image_id in imported.items() if name.startswith("cat")), None)
    if cat is not None:
        events = tuple(
            Event(seq, EventKind.ADD, cat, {"row": row, "col": col, "class_id": class_id})
            for seq, (row, col, class_id) in enumerate(CAT_POINTS, start=1)
        )
        apply_events(lab, EventBatch(DEMO_CLIENT, events), project_id=project_id, labeller=DEMO_LABELLER)


def _files() -> list[tuple[str, Path]]:
    """Names and paths of the pictures that this scikit-image has."""
    import skimage.data  # only who makes the demo waits for it

    folder = Path(skimage.data.__file__).parent
    return [(name + Path(file).suffix, folder / file) for name, file in DEMO_IMAGES if (folder / file).is_file()]
