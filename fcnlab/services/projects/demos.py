"""The demo projects: cells, counting and land cover, drawn by the program with the truth of every pixel.

The first is made before the first page is shown, the others beside it. Nothing in them is claimed: points are placed by
rule on the truth, masks are predicted, networks are trained on this machine.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.core.simulation import cells, land
from fcnlab.core.simulation.cells import CellsSpec, draw_cells
from fcnlab.core.simulation.land import LandSpec, draw_land
from fcnlab.core.simulation.scene import Scene
from fcnlab.domain.comparison import ComparisonSpec
from fcnlab.domain.counting import Task
from fcnlab.domain.events import Event, EventBatch, EventKind, Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.project import Project
from fcnlab.domain.training import TrainingSpec
from fcnlab.lab import Lab
from fcnlab.services.comparing.comparisons import start_comparison
from fcnlab.services.export.plan import images_without_mask, store_masks
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, apply_events, set_image_state
from fcnlab.services.labels.label_import import LabelRequest, found_labels
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.predict.write_masks import write_masks
from fcnlab.services.projects.overview import LABELLER, project_summaries
from fcnlab.services.projects.projects import create_project, delete_project, labels_of, projects
from fcnlab.services.training.trainings import start_training
from fcnlab.services.training.workers import ensure_worker
from fcnlab.storage.files.whole_files import write_whole

log = logging.getLogger(__name__)

RECORD = "demos.json"
"""Keys of the demos that an installation has made, in its data folder: what somebody deleted stays deleted."""

NEAR_PX, FAR_PX = 6.0, 60.0
"""How far from the nearest nucleus the two clicks on the background are."""

COMPARED = (NetworkName.FCN32S, NetworkName.FCN8S, NetworkName.UNET)
COMPARED_MINUTES, TRAINED_MINUTES = 0.5, 1.0
SIDE = 256
"""Input size of the demo's networks, in pixels, and time for each: a minute or two in all, on what is idle."""

N_MARKED = 3
N_IMPORTED, N_DONE, CLICKS_PER_CLASS = 4, 2, 3
COLONIES = CellsSpec(count=110, radius=9.0, spread=0.12, eccentricity=0.15, light=0.2, is_stained=True)


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo project.

    Attributes:
        key: in the record, and in the database beside the project.
        name: of the project.
        classes: their names.
        colours: of the classes, `#rrggbb`; empty: the usual ones.
        task: what the project makes.
        n_images: how many scenes are drawn.
        draw: the scene of a number.
        fill: labels it, given its scenes and the ids of their images.
        is_on_map: its images show land, and lie on a map where they are written as files.
    """

    key: str
    name: str
    classes: tuple[str, ...]
    colours: tuple[str, ...]
    task: Task
    n_images: int
    draw: Callable[[int], Scene]
    fill: Callable[[Lab, Project, Sequence[Scene], Sequence[int]], None]
    is_on_map: bool = False


def make_first_demo(lab: Lab) -> int | None:
    """Make the first demo when the database is new; the id of its project, None when there was a project already.

    Raises:
        FcnlabError: it cannot be made whole; nothing of it stays.
    """
    if not lab.settings.demo:
        return None
    _delete_unfinished(lab)
    return None if _made(lab) or projects(lab, include_archived=True) else make_demo(lab, DEMOS[0]).id


def make_other_demos(lab: Lab) -> Iterator[Project]:
    """Make the demos that an installation began with and does not have yet, one a step."""
    made = _made(lab)
    for demo in DEMOS if made and lab.settings.demo else ():
        if demo.key not in made:
            yield make_demo(lab, demo)


def _delete_unfinished(lab: Lab) -> None:
    """Delete demos that the program was ended in the middle of, and that nobody has worked on since."""
    made = _made(lab)
    for summary in project_summaries(lab):
        project = summary.project
        if project.demo and project.demo not in made and summary.changed_at is None:
            delete_project(lab, project_id=project.id)


def first_demo(lab: Lab) -> Project:
    """The first demo's project; made again when it was deleted or put out of sight.

    Raises:
        FcnlabError: it cannot be made whole; nothing of it stays.
    """
    there = (project for project in projects(lab) if is_first_demo(project))
    return next(there, None) or make_demo(lab, DEMOS[0])


def is_first_demo(project: Project) -> bool:
    """Whether it is the demo that everybody sees first."""
    return project.demo == DEMOS[0].key


def missing_demos(lab: Lab) -> tuple[Demo, ...]:
    """The demos that have no project now."""
    there = {project.demo for project in projects(lab, include_archived=True)}
    return tuple(demo for demo in DEMOS if demo.key not in there)


def restore_demos(lab: Lab) -> Iterator[Project]:
    """Make every demo again that has no project now, one a step."""
    for demo in missing_demos(lab):
        yield make_demo(lab, demo)


def make_demo(lab: Lab, demo: Demo) -> Project:
    """Draw the images of a demo, and label it.

    Raises:
        FcnlabError: it cannot be made whole; nothing of it stays.
    """
    project = _new_project(lab, demo)
    try:
        scenes = [demo.draw(number) for number in range(demo.n_images)]
        demo.fill(lab, project, scenes, _imported(lab, project, scenes))
    except BaseException:  # else half a demo would stay for good
        delete_project(lab, project_id=project.id)
        raise
    _remember(lab, demo.key)
    return project


def _new_project(lab: Lab, demo: Demo) -> Project:
    """A project of the demo's name; of that name and a number, where people have one of the name."""
    labels = labels_of(demo.classes)
    if demo.colours:
        labels = tuple(replace(label, colour=colour) for label, colour in zip(labels, demo.colours, strict=True))
    taken = {project.name for project in projects(lab, include_archived=True)}
    names = (demo.name if number == 1 else f"{demo.name} {number}" for number in count(1))
    name = next(name for name in names if name not in taken)
    return create_project(lab, name=name, labels=labels, task=demo.task, demo=demo.key)


def _imported(lab: Lab, project: Project, scenes: Sequence[Scene]) -> list[int]:
    """The ids of the images of the scenes, in order."""
    with tempfile.TemporaryDirectory(prefix="fcnlab-demo-") as folder:
        files = []
        for number, scene in enumerate(scenes, start=1):
            path = Path(folder) / f"{project.demo}_{number:02d}.png"
            Image.fromarray(scene.rgb).save(path)
            files.append((path.name, path))
        steps = list(import_files(lab, files, project_id=project.id))
    by_name = {step.name: step.image_id for step in steps if step.image_id is not None}
    return [by_name[name] for name, _ in files]


def _fill_cells(lab: Lab, _: Project, scenes: Sequence[Scene], image_ids: Sequence[int]) -> None:
    """Four clicks on the first image: the brightest nucleus and the dimmest, ground beside one and far from all."""
    scene = scenes[0]
    brightness = [float(scene.rgb[scene.instances == index].mean()) for index in range(1, len(scene.centres) + 1)]
    nuclei = [scene.centres[int(np.argmax(brightness))], scene.centres[int(np.argmin(brightness))]]
    distance = cv2.distanceTransform((scene.classes == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    middle = np.array(scene.classes.shape) / 2
    ground = []
    for wanted in (NEAR_PX, min(FAR_PX, float(distance.max()) - 1)):
        pixels = np.argwhere(np.abs(distance - wanted) < 1)
        ground.append(pixels[np.hypot(*(pixels - middle).T).argmin()])
    points = [*_points(ground, 0), *_points(nuclei, 1)]
    add_points(lab, points, image_id=image_ids[0], labeller=LABELLER, source=PointSource.CLICK)


def _fill_counting(lab: Lab, project: Project, scenes: Sequence[Scene], image_ids: Sequence[int]) -> None:
    """Every object of the first images clicked, and said to be all of them."""
    for scene, image_id in zip(scenes[:N_MARKED], image_ids, strict=False):
        add_points(lab, _points(scene.centres, 1), image_id=image_id, labeller=LABELLER, source=PointSource.CLICK)
        complete = Event(1, EventKind.COMPLETE, image_id, {"complete": True})
        batch = EventBatch(f"demo-{project.key}-{image_id}", (complete,))
        apply_events(lab, batch, project_id=project.id, labeller=LABELLER)


def _fill_land(lab: Lab, project: Project, scenes: Sequence[Scene], image_ids: Sequence[int]) -> None:
    """Labels imported for some images, others clicked and done; a comparison and a training are queued."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="fcnlab-demo-") as folder:
        names = [f"{project.demo}_{number:02d}.png" for number in range(1, N_IMPORTED + 1)]
        masks = [scene.classes for scene in scenes[:N_IMPORTED]]
        labels = Path(folder) / "land_cover_labels"
        write_masks(names, masks, classes=land.CLASSES, to=labels, formats="index", background=None)
        with found_labels(
            lab, labels, project_id=project.id, request=LabelRequest(labeller="surveyor"), allow_anywhere=True
        ) as incoming:
            for step in incoming.steps:
                log.debug("demo: labels of %s", step.name)
    done = list(zip(scenes, image_ids, strict=True))[N_IMPORTED : N_IMPORTED + N_DONE]
    for scene, image_id in done:
        for class_id in range(len(land.CLASSES)):
            inside = np.argwhere(scene.classes == class_id)
            places = inside[rng.choice(len(inside), CLICKS_PER_CLASS, replace=False)] if len(inside) else ()
            points = _points(places, class_id)
            add_points(lab, points, image_id=image_id, labeller=LABELLER, source=PointSource.CLICK)
        set_image_state(lab, image_id=image_id, state=ImageState.DONE, labeller=LABELLER)
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project.id)
    for _ in store_masks(lab, lambda work: work(learner), images_without_mask(lab, project_id=project.id)):
        pass
    networks = tuple(NetworkSpec(name, n_classes=len(land.CLASSES)) for name in COMPARED)
    compared = ComparisonSpec(networks, minutes=COMPARED_MINUTES, working_side=SIDE)
    start_comparison(lab, project_id=project.id, spec=compared, labeller=LABELLER)
    start_training(
        lab,
        project_id=project.id,
        network=networks[1],
        training=TrainingSpec(minutes=TRAINED_MINUTES, working_side=SIDE),
        labeller=LABELLER,
    )
    ensure_worker(lab, project_id=project.id)


def _points(places: Sequence[NDArray[np.int64]] | NDArray[np.int64], class_id: int) -> list[Point]:
    return [Point(int(row), int(col), class_id) for row, col in places]


def _made(lab: Lab) -> tuple[str, ...]:
    """Keys of the demos that were made here."""
    try:
        keys = json.loads((lab.data_dir / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else ()


def _remember(lab: Lab, key: str) -> None:
    write_whole(lab.data_dir / RECORD, json.dumps(sorted({*_made(lab), key})).encode())


def _cells(number: int) -> Scene:
    return draw_cells(CellsSpec(), seed=number)


def _colonies(number: int) -> Scene:
    return draw_cells(replace(COLONIES, count=60 + 14 * (number * 5 % 8)), seed=100 + number)


def _land(number: int) -> Scene:
    return draw_land(LandSpec(), seed=number)


LAND_COLOURS = ("#d8b365", "#1b7837", "#2c7fb8", "#d7301f")

DEMOS = (
    Demo("cells", "Cells", cells.CLASSES, (), Task.MASKS, 7, _cells, _fill_cells),
    Demo("counting", "Counting", ("background", "colony"), (), Task.COUNTS, 8, _colonies, _fill_counting),
    Demo("land", "Land cover", land.CLASSES, LAND_COLOURS, Task.MASKS, 8, _land, _fill_land, is_on_map=True),
)
"""All of them; the first is made before the first page is shown."""
