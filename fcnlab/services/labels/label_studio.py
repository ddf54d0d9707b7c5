"""What Label Studio asks of a machine learning backend, in the words of fcnlab: a project each, keypoints as points."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray

from fcnlab.domain.events import Point
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import Project
from fcnlab.errors import ImportRefused, InvalidClasses, InvalidEvent, InvalidPoints, NameTaken
from fcnlab.lab import Lab
from fcnlab.services.images.importing import clean_file_name, import_files
from fcnlab.services.labelling.point_import import Keypoint, replace_keypoints, stored_keypoints
from fcnlab.services.projects import projects
from fcnlab.storage.database import repository_images, repository_points
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.label_studio_server import annotated_tasks, authorization, fetched
from fcnlab.storage.formats.shapes.label_studio_brush import encode_brush
from fcnlab.validation import clean_name

LABELLER = "Label Studio"
BACKGROUND = "background"
CONTROLS = {"BrushLabels": "brushlabels", "KeyPointLabels": "keypointlabels", "PolygonLabels": "polygonlabels"}


@dataclass(frozen=True, slots=True)
class Control:
    """A tag that labels with: `name` and `to_name` come back in every result."""

    kind: str
    name: str
    to_name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The labelling interface of a Label Studio project, as far as masks need it.

    Attributes:
        image_key: name of the field of a task that holds the address of its image.
        brush: where masks go; None when the interface has no brush.
        labels: names of all labels, in order.
    """

    image_key: str
    brush: Control | None
    labels: tuple[str, ...]


def read_config(text: str) -> LabelConfig:
    """The labelling interface that its XML declares.

    Raises:
        InvalidPoints: it is no XML, shows no image, or has no labels.
    """
    try:
        root: Element = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError) as failure:
        raise InvalidPoints(
            f"the labelling interface is no XML ({failure}): save it in Label Studio again"
        ) from failure
    image = next((tag for tag in root.iter("Image") if tag.get("value", "").startswith("$")), None)
    controls = [
        Control(
            kind,
            tag.get("name", ""),
            tag.get("toName", ""),
            tuple(_cleaned(label.get("value", "")) for label in tag.iter("Label") if label.get("value", "").strip()),
        )
        for name, kind in CONTROLS.items()
        for tag in root.iter(name)
    ]
    labels = tuple(dict.fromkeys(label for control in controls for label in control.labels))
    if image is None or not labels:
        raise InvalidPoints(
            'the labelling interface needs an <Image value="$..."> and <BrushLabels> or <KeyPointLabels> with labels'
        )
    brush = next((control for control in controls if control.kind == "brushlabels"), None)
    return LabelConfig(image.get("value", "")[1:], brush, labels)


def project_of(lab: Lab, number: str, config: LabelConfig) -> Project:
    """The project that stands for a project of Label Studio, made or given its new labels when need be."""
    name = f"Label Studio {number}"
    project = next(
        (candidate for candidate in projects.projects(lab, include_archived=True) if candidate.name == name), None
    )
    if project is None:
        names = [BACKGROUND, *(label for label in config.labels if label.lower() != BACKGROUND)]
        try:
            return projects.create_project(lab, name=name, labels=projects.labels_of(names), background=0)
        except NameTaken:  # another request made it meanwhile
            project = next(
                candidate for candidate in projects.projects(lab, include_archived=True) if candidate.name == name
            )
    class_names = {label.name.lower() for label in project.classes}
    for label in config.labels:
        if label.lower() not in class_names:
            with suppress(InvalidClasses):  # another request added it meanwhile
                projects.add_class(lab, project_id=project.id, name=label)
    return projects.project(lab, project_id=project.id)


def image_of(lab: Lab, project: Project, task: Mapping[str, Any], config: LabelConfig) -> ImageInfo:
    """The image of a task: the one stored for it before, or of that name; else it is fetched and stored.

    Raises:
        ImportRefused: the task names no image, or one that cannot be fetched or read.
    """
    data = task.get("data")
    address = data.get(config.image_key) if isinstance(data, Mapping) else None
    if not isinstance(address, str) or not address:
        raise ImportRefused(f"task {task.get('id')!r} has no image in its field {config.image_key!r}")
    name = clean_file_name(_stored_name(task, address))
    with reading(lab.sessions) as session:
        for wanted in (name, clean_file_name(_last_part(address))):
            image = repository_images.find_image_by_name(session, project_id=project.id, name=wanted)
            if image is not None:
                return image
    content = _embedded(address) if address.startswith("data:") else _fetched(lab, address)
    step = next(iter(import_files(lab, [(name, content)], project_id=project.id)))
    if step.image_id is None:
        raise ImportRefused(step.refused or f"{address[:200]} cannot be read")
    return projects.image(lab, image_id=step.image_id)


def keypoints_of(results: object, project: Project, image: ImageInfo) -> tuple[Keypoint, ...]:
    """The keypoints among the results of an annotation, or of the context of a request, each with its label and id.

    A keypoint that is not positive, as the smart tool makes them, is background, but said about its label: the group.
    Positions are percents of the image; of several at one pixel the last counts.

    Raises:
        InvalidPoints: a keypoint lacks its position, or its label is none of the project.
    """
    classes = {label.name.lower(): label.id for label in project.classes}
    marks = {}
    for number, result in enumerate(results if isinstance(results, list) else [], start=1):
        if not isinstance(result, Mapping) or result.get("type") != "keypointlabels":
            continue
        value = result.get("value")
        try:
            x, y, labels = float(value["x"]), float(value["y"]), value["keypointlabels"]  # type: ignore[index]
            label = " ".join(str(labels[0]).split())
            row = min(max(int(y / 100 * image.height), 0), image.height - 1)
            col = min(max(int(x / 100 * image.width), 0), image.width - 1)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as failure:
            raise InvalidPoints(f"keypoint {number} has no x, y and label: send it as Label Studio does") from failure
        named = classes.get(label.lower())
        class_id = project.background if result.get("is_positive") in (False, 0) else named
        if class_id is None:
            raise InvalidPoints(
                f"keypoint {number}: the project has no class {label!r}"
                if named is None
                else f"keypoint {number} is negative, and project {project.name} has no background class: choose one"
            )
        name = str(result.get("id") or f"{row}, {col}")[:80]
        marks[row, col] = Keypoint(Point(row, col, class_id), class_id if named is None else named, name)
    return tuple(marks.values())


def regions_of(results: object, project: Project) -> frozenset[int]:
    """Ids of the classes that the results of an annotation mark with anything but keypoints: brushes, polygons."""
    classes = {label.name.lower(): label.id for label in project.classes}
    marked = set()
    for result in results if isinstance(results, list) else []:
        kind = result.get("type") if isinstance(result, Mapping) else None
        value = result.get("value") if isinstance(result, Mapping) else None
        if isinstance(kind, str) and kind != "keypointlabels" and isinstance(value, Mapping):
            labels = value.get(kind)
            for label in labels if isinstance(labels, list) else []:
                marked.add(classes.get(" ".join(str(label).split()).lower(), -1))
    return frozenset(marked - {-1})


def store_context(lab: Lab, project: Project, image: ImageInfo, keypoints: Sequence[Keypoint]) -> bool:
    """Make these the points that somebody is clicking just now of their labels; whether anything changed.

    Label Studio's page sends the keypoints of the label that was clicked last and of no other: those of other labels
    stay, and so do annotations.

    Raises:
        InvalidPoints: the image is done, or a point cannot be stored. Nothing was stored.
    """
    groups = {keypoint.group for keypoint in keypoints}
    return _replace(lab, project, image, keypoints, LABELLER, groups=groups)


def store_annotation(
    lab: Lab,
    project: Project,
    image: ImageInfo,
    keypoints: Sequence[Keypoint],
    *,
    annotation_id: object,
    regions: Collection[int] = (),
) -> bool:
    """Make these the points of one annotation, in place of those it had and of what was clicked on the way to it.

    The page drops its smart keypoints as soon as a mask they gave is accepted. So the clicks that led to a mask are
    taken over, without their names, and stay for as long as the annotation has a region of their label.

    Args:
        keypoints: of the annotation.
        regions: ids of the classes of which the annotation has other regions.

    Points of other annotations stay. Raises InvalidPoints, as `store_context`.
    """
    labeller = _labeller_of(annotation_id)
    pixels = {(keypoint.point.row, keypoint.point.col) for keypoint in keypoints}
    unnamed = [
        keypoint for keypoint in stored_keypoints(lab, image_id=image.id, labeller=labeller) if not keypoint.name
    ]
    clicked = [replace(keypoint, name="") for keypoint in stored_keypoints(lab, image_id=image.id, labeller=LABELLER)]
    kept = [
        keypoint
        for keypoint in (*unnamed, *clicked)
        if keypoint.group in regions and (keypoint.point.row, keypoint.point.col) not in pixels
    ]
    has_changed = _replace(lab, project, image, [*keypoints, *kept], labeller)
    return _replace(lab, project, image, (), LABELLER) or has_changed


def forget_annotation(lab: Lab, project: Project, *, annotation_id: object) -> bool:
    """Remove the points of an annotation from the images that still take changes; whether there were any."""
    labeller = _labeller_of(annotation_id)
    with reading(lab.sessions) as session:
        points = repository_points.points_of_project(session, project_id=project.id)
    image_ids = sorted({point.image_id for point in points if point.labeller == labeller})
    images = [projects.image(lab, image_id=image_id) for image_id in image_ids]
    gone = [_replace(lab, project, image, (), labeller) for image in images if image.state is not ImageState.DONE]
    return any(gone)


@dataclass(frozen=True, slots=True)
class Learned:
    """How many annotations were learned from, and why others were not, a line each."""

    n_annotations: int
    refused: tuple[str, ...]


def learn_all(lab: Lab, project: Project, config: LabelConfig) -> Learned:
    """Learn from every annotation that Label Studio holds of a project, however it came there.

    Raises:
        ImportRefused: FCNLAB_LABEL_STUDIO_URL is not set, or Label Studio cannot be asked.
    """
    settings = lab.settings
    if not settings.label_studio_url:
        raise ImportRefused(
            "Label Studio cannot be asked for them: set FCNLAB_LABEL_STUDIO_URL and FCNLAB_LABEL_STUDIO_TOKEN, restart "
            "`fcnlab serve`, and choose Start Training in Label Studio"
        )
    tasks = annotated_tasks(
        project.name.removeprefix(f"{LABELLER} "),
        home=settings.label_studio_url,
        token=settings.label_studio_token,
        most_bytes=settings.api_upload_mb * 1_000_000,
    )
    return learn_tasks(lab, project, config, tasks)


def learn_tasks(lab: Lab, project: Project, config: LabelConfig, tasks: Iterable[object]) -> Learned:
    """Learn from every annotation of tasks that was not cancelled; what cannot be learned is named and passed over."""
    learned, refused = 0, []
    for task in tasks:
        if not isinstance(task, Mapping):
            continue
        try:
            kept = [candidate for candidate in task.get("annotations") or () if not candidate.get("was_cancelled")]
            image = image_of(lab, project, task, config) if kept else None
            for annotation in kept:
                assert image is not None
                results = annotation.get("result")
                keypoints, regions = keypoints_of(results, project, image), regions_of(results, project)
                store_annotation(lab, project, image, keypoints, annotation_id=annotation.get("id"), regions=regions)
                learned += 1
        except (ImportRefused, InvalidPoints) as refusal:
            refused.append(f"task {task.get('id')!r}: {refusal}")
    return Learned(learned, tuple(refused))


def _labeller_of(annotation_id: object) -> str:
    return f"{LABELLER} {str(annotation_id)[:40]}"


def _replace(
    lab: Lab,
    project: Project,
    image: ImageInfo,
    keypoints: Sequence[Keypoint],
    labeller: str,
    *,
    groups: Collection[int] | None = None,
) -> bool:
    return replace_keypoints(
        lab,
        keypoints,
        groups=groups,
        image_id=image.id,
        labeller=labeller,
        project_id=project.id,
        place=f"image {image.name}",
    )


def _cleaned(label: str) -> str:
    try:
        return clean_name(label)
    except InvalidEvent as refusal:
        raise InvalidPoints(f"a label of the interface cannot be a class here: {refusal}") from refusal


def brush_code(is_class: NDArray[np.bool_]) -> list[int]:
    """The bytes of pixels (H, W) bool, as Label Studio stores a brush."""
    return encode_brush(is_class)


def _stored_name(task: Mapping[str, Any], address: str) -> str:
    """A name that tells images of equal file names apart, and stays when the address gets another signature."""
    last = "embedded" if address.startswith("data:") else _last_part(address)
    what = address if address.startswith("data:") else urlsplit(address)._replace(query="", fragment="").geturl()
    mark = task.get("id") if task.get("id") is not None else hashlib.sha256(what.encode()).hexdigest()[:12]
    return f"task-{mark}/{last}"


def _last_part(address: str) -> str:
    if address.startswith("data:"):
        return "embedded"
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d", [""])[0]  # /data/local-files/?d=folder/name.png
    return PurePosixPath(unquote(local or parts.path)).name or "image"


def _fetched(lab: Lab, address: str) -> bytes:
    settings = lab.settings
    return fetched(
        address,
        home=settings.label_studio_url,
        authorization=authorization(settings.label_studio_url, settings.label_studio_token),
        hosts=settings.label_studio_hosts,
        most_bytes=settings.api_upload_mb * 1_000_000,
    )


def _embedded(address: str) -> bytes:
    head, _, body = address.partition(",")
    try:
        if not head.endswith(";base64"):
            raise ValueError("not base64")
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as failure:
        raise ImportRefused(f"the embedded image of a task cannot be decoded ({failure})") from failure
