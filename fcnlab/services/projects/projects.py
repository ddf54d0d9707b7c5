"""Projects and their classes: making, changing, archiving, deleting, and an overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from fcnlab.core.images.palette import coloured_labels
from fcnlab.domain.counting import Task
from fcnlab.domain.events import PointSource
from fcnlab.domain.images import ImageInfo, ImagePlace, ImageState
from fcnlab.domain.models import FitRecord
from fcnlab.domain.project import ClassLabel, LearnerSpec, Project, background_among
from fcnlab.errors import InvalidClasses
from fcnlab.lab import Lab
from fcnlab.services.installation import sweeping
from fcnlab.services.labelling.effects import added_class, edited_class
from fcnlab.services.projects.grades import check_grades
from fcnlab.storage.database import (
    repository_comparisons,
    repository_expert_masks,
    repository_images,
    repository_models,
    repository_points,
    repository_projects,
    repository_trainings,
)
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files.presence import delete_anything
from fcnlab.validation import clean_name

DEFAULT_CLASSES = ("background", "object")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """An overview of a project. Only live points count; classes, sources and states without any say 0."""

    project: Project
    images: dict[ImageState, int]
    points_by_class: dict[int, int]
    points_by_source: dict[PointSource, int]
    points_by_labeller: dict[str, int]

    @property
    def n_images(self) -> int:
        """Number of images."""
        return sum(self.images.values())

    @property
    def n_points(self) -> int:
        """Number of live points."""
        return sum(self.points_by_class.values())


def labels_of(names: Sequence[str]) -> tuple[ClassLabel, ...]:
    """Classes 0, 1, ... of these names, each in a colour of its own.

    Raises:
        InvalidEvent: a name is empty or cannot be shown.
        InvalidClasses: more than 255 names.
    """
    return coloured_labels((class_id, clean_name(name), "") for class_id, name in enumerate(names))


def create_project(
    lab: Lab,
    *,
    name: str,
    labels: Sequence[ClassLabel] | None = None,
    learner: LearnerSpec | None = None,
    task: Task = Task.MASKS,
    background: int | Literal["by name"] | None = "by name",
    demo: str = "",
) -> Project:
    """Make a project; without labels it has the classes background and object. Of two in one colour the later
    gets an unused one.

    Args:
        lab: where.
        name: of the project.
        labels: its classes.
        learner: settings of the instant learner.
        task: what it makes.
        background: id of the class that is no object; None: every class is a thing of its own. "by name": the first
            class that is called as one of BACKGROUND_NAMES, if there is one.
        demo: the key of the demo that it is; empty for people's own.

    Raises:
        NameTaken: another project has the name.
        InvalidName: a name is empty or cannot be shown.
        InvalidClasses: no class, two of one name or id, or no background where objects are counted.
    """
    chosen = labels_of(DEFAULT_CLASSES) if labels is None else labels
    coloured = coloured_labels((label.id, clean_name(label.name), label.colour) for label in chosen)
    cleaned = tuple(replace(label, order=old.order) for label, old in zip(coloured, chosen, strict=True))
    project_name = clean_name(name)
    with writing(lab.sessions) as session:
        return repository_projects.create_project(
            session,
            name=project_name,
            labels=cleaned,
            learner=learner or LearnerSpec(),
            task=task,
            background=background_among(cleaned) if background == "by name" else background,
            demo=demo,
            now=lab.clock(),
        )


def project(lab: Lab, *, project_id: int) -> Project:
    """The project of that number. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        return repository_projects.project(session, project_id=project_id)


def project_by_key(lab: Lab, *, key: str) -> Project:
    """The project with that unguessable key. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        return repository_projects.project_by_key(session, key=key)


def projects(lab: Lab, *, include_archived: bool = False) -> tuple[Project, ...]:
    """All projects, oldest first."""
    with reading(lab.sessions) as session:
        return repository_projects.projects(session, include_archived=include_archived)


def rename_project(lab: Lab, *, project_id: int, name: str) -> Project:
    """Give a project another name. Raises UnknownProject, NameTaken, InvalidName."""
    cleaned = clean_name(name)
    with writing(lab.sessions) as session:
        return repository_projects.rename_project(session, project_id=project_id, name=cleaned)


def archive_project(lab: Lab, *, project_id: int) -> Project:
    """Put a project out of sight; all of it stays. Raises UnknownProject."""
    with writing(lab.sessions) as session:
        return repository_projects.set_archived(session, project_id=project_id, archived_at=lab.clock())


def unarchive_project(lab: Lab, *, project_id: int) -> Project:
    """Take an archived project back. Raises UnknownProject."""
    with writing(lab.sessions) as session:
        return repository_projects.set_archived(session, project_id=project_id, archived_at=None)


def delete_project(lab: Lab, *, project_id: int) -> None:
    """Delete a project with its points, masks and models, and the images no other project shows, for good.

    It is gone for everybody at once; its rows follow a few at a time, so that no labeller of another one waits, then
    its files. What a process that is killed meanwhile leaves is swept when the next server starts.

    Raises:
        UnknownProject: no such project.
    """
    with writing(lab.sessions) as session:
        contents = repository_images.content_hashes(session, project_id=project_id)
        masks = (
            *repository_images.mask_files(session, project_id=project_id),
            *repository_expert_masks.expert_files(session, project_id=project_id),
        )
        checkpoints = [fit.checkpoint for fit in repository_projects.fits(session, project_id=project_id)]
        models = repository_models.models(session, project_id=project_id, include_removed=True)
        trainings = repository_trainings.trainings(session, project_id=project_id)
        comparisons = repository_comparisons.comparisons(session, project_id=project_id)
        repository_projects.begin_deletion(session, project_id=project_id, now=lab.clock())
    sweeping.finish_deletion(lab, project_id=project_id)
    for name in (
        *checkpoints,
        *(model.file for model in models),
        *(training.checkpoint_file for training in trainings),
    ):
        delete_anything(lab.folders.checkpoints / name)
    for training in trainings:
        delete_anything(lab.folders.resume / training.resume_file)
        delete_anything(lab.folders.logs / f"training-{training.id}.log")
    for comparison in comparisons:
        delete_anything(lab.folders.comparisons / str(comparison.id))
    for name in masks:
        delete_anything(lab.folders.masks / name)
    delete_anything(lab.folders.masks / str(project_id))  # those of images that were reopened
    sweeping.forget_contents(lab, contents)


def set_learner(lab: Lab, *, project_id: int, learner: LearnerSpec, allow_anywhere: bool = False) -> Project:
    """Store other learner settings, another encoder after it was tried; see `encoders.check_change`.

    Args:
        lab: the installation.
        project_id: whose.
        learner: all settings, those that stay too.
        allow_anywhere: the caller sits at this machine and may name any weight file.

    Raises:
        UnknownProject: no such project.
        UnknownEncoder, WeightsUnavailable, InvalidSetting: the encoder cannot work so; the old settings stay.
        InvalidClasses: classes that cannot be grades, see `grades.set_grades`.
    """
    before = project(lab, project_id=project_id)
    check_grades(before, learner.grades)
    current = before.learner
    if encoding_of(learner) != encoding_of(current):
        from fcnlab.services.projects.encoders import check_change  # loads torch, which no other change waits for

        check_change(lab, current, learner, allow_anywhere=allow_anywhere)
    wanted, read = asdict(learner), asdict(current)
    changes = {name: value for name, value in wanted.items() if value != read[name]}
    with writing(lab.sessions) as session:  # others may have changed other settings while an encoder was tried
        stored = repository_projects.project(session, project_id=project_id).learner
        return repository_projects.set_learner(session, project_id=project_id, learner=replace(stored, **changes))


def changed_learner(current: LearnerSpec, changes: Mapping[str, Any]) -> LearnerSpec:
    """Settings with some changed by name; another encoder without a weight file has its usual trained weights.

    Raises:
        InvalidSetting: a name that is no setting, or a value it may not take.
    """
    is_another = changes.get("encoder", current.encoder) != current.encoder
    weights = {"encoder_weights": ""} if is_another else {}
    return LearnerSpec.from_dict({**current.to_dict(), **weights, **changes})


def encoding_of(learner: LearnerSpec) -> tuple[str, str, tuple[float, ...]]:
    """Encoder, weight file and scales: what is tried before it is stored, and makes every image be encoded again."""
    return learner.encoder, learner.encoder_weights, learner.scales


def images_with_points(lab: Lab, *, project_id: int) -> int:
    """Number of images that have a live point."""
    with reading(lab.sessions) as session:
        return len(repository_points.count_points_by_image(session, project_id=project_id))


def set_background(lab: Lab, *, project_id: int, class_id: int | None) -> Project:
    """Make a class the background, or none. Raises UnknownProject, InvalidClasses: a project that counts needs one."""
    with writing(lab.sessions) as session:
        repository_projects.set_background(session, project_id=project_id, class_id=class_id)
        return repository_projects.project(session, project_id=project_id)


def class_named(labels: Sequence[ClassLabel], name: str) -> int | None:
    """Id of the class of that name, whatever its case; None for the name "none" where no class is called so.

    Raises:
        InvalidClasses: no class is called so.
    """
    wanted = clean_name(name).casefold()
    for label in labels:
        if label.name.casefold() == wanted:
            return label.id
    if wanted == "none":
        return None
    choices = ", ".join(label.name for label in labels)
    raise InvalidClasses(f"no class is called {name!r}: name one of {choices}, or 'none'")


def add_class(lab: Lab, *, project_id: int, name: str, colour: str = "") -> ClassLabel:
    """Add a class, in a colour that no other has; see `effects.added_class`. Raises InvalidClasses, InvalidEvent."""
    with writing(lab.sessions) as session:
        repository_projects.require_project(session, project_id=project_id)
        return added_class(session, project_id=project_id, name=name, colour=colour)


def edit_class(lab: Lab, *, project_id: int, label: ClassLabel) -> ClassLabel:
    """The class `label.id` with the name, colour and order of `label`; see `effects.edited_class`."""
    with writing(lab.sessions) as session:
        return edited_class(session, project_id=project_id, label=label)


def remove_class(lab: Lab, *, project_id: int, class_id: int) -> None:
    """Take a class out of use; its points stay stored and count no more. Raises InvalidClasses."""
    with writing(lab.sessions) as session:
        repository_projects.remove_class(session, project_id=project_id, class_id=class_id, now=lab.clock())


def dashboard(lab: Lab, *, project_id: int) -> Dashboard:
    """The overview of a project, at one moment. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        return Dashboard(
            project=repository_projects.project(session, project_id=project_id),
            images=repository_images.count_images(session, project_id=project_id),
            points_by_class=repository_points.count_points_by_class(session, project_id=project_id),
            points_by_source=repository_points.count_points_by_source(session, project_id=project_id),
            points_by_labeller=repository_points.count_points_by_labeller(session, project_id=project_id),
        )


def image(lab: Lab, *, image_id: int) -> ImageInfo:
    """The image of that number. Raises UnknownImage."""
    with reading(lab.sessions) as session:
        return repository_images.image(session, image_id=image_id)


def images_of(lab: Lab, *, image_ids: Sequence[int]) -> tuple[ImageInfo, ...]:
    """The images of these numbers, in this order; those that are gone are left out."""
    with reading(lab.sessions) as session:
        by_id = {image.id: image for image in repository_images.images_by_ids(session, image_ids=image_ids)}
    return tuple(by_id[image_id] for image_id in image_ids if image_id in by_id)


def images(
    lab: Lab,
    *,
    project_id: int,
    start: int = 0,
    count: int | None = None,
    state: ImageState | None = None,
) -> tuple[ImageInfo, ...]:
    """Images of a project in import order: `count` of them after the first `start`."""
    with reading(lab.sessions) as session:
        return repository_images.images(session, project_id=project_id, start=start, count=count, state=state)


def image_place(lab: Lab, *, image_id: int) -> ImagePlace:
    """Where an image stands in its project, and its neighbours. Raises UnknownImage."""
    with reading(lab.sessions) as session:
        return repository_images.image_place(session, image_id=image_id)


def fits(lab: Lab, *, project_id: int) -> tuple[FitRecord, ...]:
    """All fits of a project, newest first."""
    with reading(lab.sessions) as session:
        return repository_projects.fits(session, project_id=project_id)
