"""Labels of experts into a project: label files become expert masks, and points drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from fcnlab.domain.project import Project
from fcnlab.errors import WITHOUT_ROOM, ImportRefused, InvalidSetting
from fcnlab.lab import Lab
from fcnlab.services.images.importing import clean_file_name
from fcnlab.services.labels.label_names import ClassMatch, ImageNames, match_classes
from fcnlab.services.labels.mask_intake import (
    MOST_PER_IMAGE,
    MOST_PER_PROJECT,
    Intake,
    LabelProgress,
    PointShare,
    earlier_points,
    is_left_out,
    is_thing,
    listed,
    shared_points,
)
from fcnlab.storage.database import repository_expert_masks, repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.whole_files import passing_folder
from fcnlab.storage.files.zips import LeftOut, is_zip
from fcnlab.storage.formats.reading.detecting import Detected, detect, located
from fcnlab.storage.formats.reading.labelled import LabelledImage, LabelSource
from fcnlab.storage.formats.reading.unpacking import unpack_labels
from fcnlab.storage.formats.reading.values import ReadOptions, Rest, Strange
from fcnlab.storage.formats.registry import read_formats
from fcnlab.validation import clean_name


class SentFile(Protocol):
    """A file that a browser sent."""

    name: str

    def getbuffer(self) -> memoryview:
        """The bytes of the file."""


@contextmanager
def sent_labels(lab: Lab, files: Sequence[SentFile]) -> Iterator[tuple[Path, str]]:
    """A path of the files, and what to call them; gone after the block. Several files lie in one folder.

    Raises:
        ImportRefused: a name cannot be a file here, or two files have one name.
        StorageFull: there is no room for them.
    """
    names = [clean_file_name(file.name) for file in files]
    with passing_folder(lab.data_dir, prefix="labels") as folder:
        for name, file in zip(names, files, strict=True):
            path = folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as target:
                    target.write(file.getbuffer())
            except FileExistsError as failure:
                raise ImportRefused(f"two of the files are called {name}: send them as a zip archive") from failure
            except OSError as failure:
                if failure.errno in WITHOUT_ROOM:
                    raise
                raise ImportRefused(f"{name} cannot be saved here ({failure.strerror}): rename it") from failure
        if len(names) == 1:
            yield folder / names[0], names[0]
        else:
            yield folder, f"{sorted(names)[0]} and {len(names) - 1} more"


AUTO = "auto"
MOST_POINTS = 100_000
MOST_WEIGHT = 1000.0


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """What is wanted of label files.

    Attributes:
        as_format: a name of `label_formats`; AUTO guesses.
        points_per_image: training points drawn from each mask; 0 keeps masks as truth alone; None leaves it to
            `shared_points`.
        weight: of the points, next to 1 of a click.
        add_classes: classes that the project lacks become new ones; else they are left out.
        mapping: name of a class in the file -> name in the project, empty to leave it out.
        rest: what pixels outside all shapes are, where the format does not say it. "auto": background, where the file
            or the project has a class for that; else unknown.
        strange: colours that no table knows refuse their image, or are unknown pixels.
        table: a file that names classes by value or colour.
        labeller: whose labels they are.
        seed: decides which pixels become points.
    """

    as_format: str = AUTO
    points_per_image: int | None = None
    weight: float = 1.0
    add_classes: bool = False
    mapping: Mapping[str, str] = field(default_factory=dict)
    rest: Rest = "auto"
    strange: Strange = "refuse"
    table: Path | None = None
    labeller: str = "import"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.as_format not in (AUTO, *read_formats()):
            raise InvalidSetting(f"format {self.as_format!r} is none of {AUTO}, {', '.join(read_formats())}")
        if self.points_per_image is not None and not 0 <= self.points_per_image <= MOST_POINTS:
            raise InvalidSetting(f"{self.points_per_image} points per image: wanted 0 to {MOST_POINTS}")
        if not 0 < self.weight <= MOST_WEIGHT:
            raise InvalidSetting(f"weight {self.weight} must be above 0 and at most {MOST_WEIGHT:g}")


@dataclass(frozen=True, slots=True)
class FoundLabels:
    """Label files, opened, and what would become of them in a project.

    Attributes:
        format: the name of what they were taken for.
        words: the same for people.
        classes: what each class of the file becomes.
        total: images that the file speaks of, None when nobody knows yet.
        left_out: files of an archive that cannot be read.
        notes: what was taken for granted about them.
        steps: imports them, an image a step.
        share: how many points each mask gives; counts the masks when it is asked for the first time.
    """

    format: str
    words: str
    classes: tuple[ClassMatch, ...]
    total: int | None
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    steps: Iterator[LabelProgress]
    share: Callable[[], PointShare]


def label_formats() -> dict[str, str]:
    """What people call each format, by its name."""
    return {name: declared.read_title for name, declared in read_formats().items()}


@contextmanager
def found_labels(
    lab: Lab, path: Path, *, project_id: int, request: LabelRequest, name: str = "", allow_anywhere: bool = False
) -> Iterator[FoundLabels]:
    """Open label files for a project; nothing is stored before the first step is asked for.

    Each step stores one image whole: its mask as a file, and in one transaction its row and the points drawn from it.
    A pixel with a live point keeps it. What an earlier import of the same name gave the image is replaced; the same
    labels again change nothing. What cannot be read or has no image is named and left out, and so are images of whose
    labels nothing but background would remain. The first step raises ImportRefused when that is so of all classes.

    Args:
        lab: the installation.
        path: a label file, a folder of them, or a zip archive of either.
        project_id: where they go.
        request: what is wanted.
        name: what the user calls the file; the name of the path will do.
        allow_anywhere: the caller may read any path; else it must lie below `settings.import_roots`.

    Raises:
        UnknownProject: no such project.
        ImportRefused: no labels there, in no format that is known, or damaged as a whole.
        InvalidEvent: the labeller has no name.
    """
    clean_name(request.labeller)
    called = name or path.name or path.resolve().name
    if not allow_anywhere:
        _refuse_outside(lab, path)
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        images = repository_expert_masks.image_sizes(session, project_id=project_id)
        given = repository_expert_masks.points_by_source(session, project_id=project_id)
    names = ImageNames(images)
    with unpacked_labels(path, name=called, within=lab.folders.images.parent) as (inside, left_out):
        detected, source = opened_source(inside, request, project, name=called)
        classes = match_classes(source.classes, project, mapping=request.mapping, add_missing=request.add_classes)
        called_source = f"{detected.format.name}:{called}"
        earlier, order = earlier_points(given, called_source), [image_id for _, image_id, _ in images]
        share = cache(partial(_share, source, names, order, earlier=earlier, request=request))
        intake = Intake(
            lab,
            project_id,
            names=names,
            classes=classes,
            source=called_source,
            labeller=clean_name(request.labeller),
            weight=request.weight,
            seed=request.seed,
        )
        yield FoundLabels(
            detected.format.name,
            f"{called} is read as {detected.format.read_title}",
            classes,
            source.total,
            left_out,
            source.notes,
            _steps(intake, source, classes, share),
            share,
        )


def _steps(
    intake: Intake, source: LabelSource, classes: Sequence[ClassMatch], share: Callable[[], PointShare]
) -> Iterator[LabelProgress]:
    objects = [match for match in classes if is_thing(match)]
    if objects and all(is_left_out(match) for match in objects):
        names = [match.named.name for match in objects]
        raise ImportRefused(
            f"none of the classes {listed(names)} is in the project: --map {names[0]}=..., or --add-classes"
        )
    yield from intake.steps(source, share())


def _share(
    source: LabelSource, names: ImageNames, order: Sequence[int], *, earlier: int, request: LabelRequest
) -> PointShare:
    """Points for the masks of a source; these are counted first when there may be many."""
    if request.points_per_image is not None:
        return PointShare(request.points_per_image)
    most = len(order) if source.total is None else min(source.total, len(order))
    if earlier + most * MOST_PER_IMAGE <= MOST_PER_PROJECT:
        return PointShare(MOST_PER_IMAGE)
    labelled = set()
    for labels in source.images():
        if isinstance(labels, LabelledImage) and labels.mask is not None:
            with suppress(ImportRefused):  # said when its turn comes
                labelled.add(names.find(labels.name).id)
    return shared_points([image_id for image_id in order if image_id in labelled], earlier=earlier, seed=request.seed)


@contextmanager
def unpacked_labels(
    path: Path, *, name: str, within: Path, with_pictures: bool = False
) -> Iterator[tuple[Path, tuple[LeftOut, ...]]]:
    """The path itself, or of a zip archive a folder with its label files, gone after the block.

    `with_pictures`: with the images too, where the labels may not say how large these are.

    Raises:
        ImportRefused: the archive is damaged, or larger than it may be.
    """
    with ExitStack() as stack:
        if not is_zip(path):
            yield path, ()
            return
        folder = stack.enter_context(passing_folder(within, prefix="labels"))
        yield folder, unpack_labels(path, folder, name=name, with_pictures=with_pictures)


def opened_source(
    path: Path, request: LabelRequest, project: Project | None, *, name: str
) -> tuple[Detected, LabelSource]:
    """The labels in a file or folder, in the format that is wanted or guessed.

    Classes of masks that bring no names are those of the project, by their ids and colours.

    Raises:
        ImportRefused: not of that format, or damaged.
    """
    labels = () if project is None else project.classes
    has_background = project is not None and project.background is not None
    options = ReadOptions(
        rest="background" if request.rest == "auto" and has_background else request.rest,
        table=request.table,
        names={label.id: label.name for label in labels},
        colours={label.colour.lower(): label.name for label in labels},
        strange=request.strange,
    )
    try:
        is_open = request.as_format == AUTO
        detected = detect(path) if is_open else located(path, request.as_format)
        return detected, detected.open(options)
    except ImportRefused as refusal:
        raise ImportRefused(str(refusal).replace(path.name, name) if path.name else str(refusal)) from refusal


def _refuse_outside(lab: Lab, path: Path) -> None:
    roots = [root.expanduser().resolve() for root in lab.settings.import_roots]
    if not any(path.expanduser().resolve().is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in roots) or "none yet"
        raise ImportRefused(
            f"{path} is outside the folders that may be imported ({allowed}); ask whoever runs the server to add it to "
            "FCNLAB_IMPORT_ROOTS"
        )
