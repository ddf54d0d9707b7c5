"""Which image of a project, and which of its classes, a label file means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fcnlab.domain.project import ClassLabel, Project
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import FileClass
from fcnlab.storage.formats.reading.mask_files import without_mask_ending
from fcnlab.storage.formats.reading.shapes import is_background

GENERIC = frozenset({"images", "labels", "masks", "annotations", "jpegimages", "segmentationclass", "leftimg8bit"})
"""Folders that say what lies in them, and nothing of the image."""

SETS = frozenset(
    {"default", "train", "training", "val", "valid", "validation", "test", "testing", "mask", "imgs", "data"}
)
SETS_OF_CVAT = frozenset({"obj_train_data", "obj_validation_data", "obj_test_data"})
"""Folders that do not make an image another one: the labels may lie in them and the images not, or in others."""

UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the names of files that were uploaded to it."""

ROBOFLOW = re.compile(r"^(.+)_(jpe?g|png|bmp|tiff?|webp)\.rf\.\w+$", re.IGNORECASE)
"""How Roboflow calls its copy of an image."""

OF_PICTURES = ("_leftimg8bit", "_image", "_img", "_sat", "_rgb")
"""How the names of pictures end where those of their labels end otherwise."""

NUMBER_BEFORE = re.compile(r"^\d+_")
"""The id that fcnlab writes before the name of a class, where folders are called by classes."""

OBJECTS = frozenset({"foreground", "object"})
"""Names that formats give when they have to give one: in a project of two classes they mean the second."""


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image that labels may be for."""

    id: int
    name: str
    hw: tuple[int, int]


class ImageNames:
    """Finds images of a project by the names that label files give them; nothing is ever opened by such a name."""

    def __init__(self, images: Iterable[tuple[str, int, tuple[int, int]]]) -> None:
        self._by_name: dict[str, list[KnownImage]] = {}
        self._by_stem: dict[str, list[KnownImage]] = {}
        self._by_bare: dict[str, list[KnownImage]] = {}
        self._by_unwrapped: dict[str, list[KnownImage]] = {}
        for name, image_id, hw in images:
            image = KnownImage(image_id, name, hw)
            last = _parts(name)[-1]
            self._by_name.setdefault(last, []).append(image)
            self._by_stem.setdefault(_stem(last), []).append(image)
            self._by_bare.setdefault(_bare(_stem(last)), []).append(image)
            if _unwrapped(_stem(last)) != _stem(last):
                self._by_unwrapped.setdefault(_bare(_unwrapped(_stem(last))), []).append(image)

    def find(self, name: str) -> KnownImage:
        """The image of a name: by its whole path, else by its file name, else by that without the ending, and at last
        without what tools put before and behind names (`_mask`, `1a2b3c4d-`, `_jpg.rf.4f...`), on either side.

        Of several that have it, the one that shares the most folders with the name, counted from the end. Where both
        lie in folders of which they share none, they are two images that only have the name of the file in common.

        Raises:
            ImportRefused: there is none, or several share equally many.
        """
        parts = _parts(name)
        stems = (parts[-1], _stem(parts[-1]))
        images = self._by_name.get(parts[-1]) or next(
            (self._by_stem[stem] for stem in stems if stem in self._by_stem), []
        )
        images = images or self._called_alike(_stem(parts[-1]))
        if not images:
            raise ImportRefused("the project has no image of this name; import it first")
        named_alike, images = images, [image for image in images if not _are_strangers(parts, _parts(image.name))]
        if not images:
            raise ImportRefused(
                f"the project's image of this file name lies in another folder ({named_alike[0].name}); import the "
                "image, or name its folder in the labels as in the project"
            )
        exact = [image for image in images if tuple(_parts(image.name)[:-1]) == tuple(parts[:-1])]
        if len(exact) == 1:
            return exact[0]
        nearest = [_shared(parts, _parts(image.name)) for image in images]
        best = [image for image, shared in zip(images, nearest, strict=True) if shared == max(nearest)]
        if len(best) > 1:
            names = ", ".join(image.name for image in best[:3]) + (", ..." if len(best) > 3 else "")
            raise ImportRefused(f"several images of the project have this name ({names}); give its path")
        return best[0]

    def _called_alike(self, stem: str) -> list[KnownImage]:
        """Images called so but for what tools add: an id or a hash on one side alone, for with two they are two."""
        unwrapped = _unwrapped(stem)
        images = self._by_bare.get(_bare(stem), [])
        images = images or ([] if unwrapped == stem else self._by_bare.get(_bare(unwrapped), []))
        return images or self._by_unwrapped.get(_bare(stem), [])


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """What a class of the file becomes: a class of the project, a new one, or nothing, for a reason."""

    named: FileClass
    label: ClassLabel | None
    is_new: bool = False
    reason: str = ""


def match_classes(
    named: Sequence[FileClass], project: Project, *, mapping: Mapping[str, str], add_missing: bool
) -> tuple[ClassMatch, ...]:
    """What each class of a file becomes.

    Args:
        named: classes of the file.
        project: where they go; what a file calls background becomes its background, whatever the name of that.
        mapping: name in the file -> name in the project; an empty one leaves the class out.
        add_missing: classes that the project lacks become new ones.

    Raises:
        ImportRefused: the mapping has a class that the file lacks.
    """
    wanted = {_fold(name): target for name, target in mapping.items()}
    strange = set(wanted) - {_fold(file_class.name) for file_class in named}
    if strange:
        names = ", ".join(file_class.name for file_class in named[:12]) or "none"
        raise ImportRefused(f"the labels have no class {sorted(strange)[0]!r} to map; they have {names}")
    by_name = {_fold(label.name): label for label in project.classes}
    ground = next((label for label in project.classes if label.id == project.background), None)
    customary = {True: ground, False: project.objects[0] if ground and len(project.objects) == 1 else None}
    return tuple(
        _match(file_class, customary, by_name, wanted.get(_fold(file_class.name)), add_missing) for file_class in named
    )


def _match(
    file_class: FileClass,
    customary: Mapping[bool, ClassLabel | None],
    by_name: Mapping[str, ClassLabel],
    target: str | None,
    add: bool,
) -> ClassMatch:
    if target is not None and not target.strip():
        return ClassMatch(file_class, None, reason="it was to be left out")
    name = file_class.name if target is None else target
    label = by_name.get(_fold(name)) or by_name.get(_fold(NUMBER_BEFORE.sub("", name)))
    if label is None and target is None:
        is_ground = is_background(file_class.name)
        label = customary[is_ground] if is_ground or _fold(file_class.name).strip("_") in OBJECTS else None
    if label is not None:
        return ClassMatch(file_class, label)
    if add:
        return ClassMatch(FileClass(name.strip(), file_class.colour), None, is_new=True)
    return ClassMatch(file_class, None, reason="the project has no class of this name")


def _fold(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _parts(name: str) -> list[str]:
    """Folders and file name, without what is said of every file of a kind."""
    path = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/"))
    parts = [part for part in path.parts if part not in ("/", ".", "..")]
    return [part for part in parts[:-1] if part.casefold() not in GENERIC] + (parts[-1:] or [""])


def _stem(name: str) -> str:
    """A file name without its ending; `.001` is none, for it has no letter."""
    return re.sub(r"\.(?=[^.]*[A-Za-z])[A-Za-z0-9]{2,5}$", "", name)


def _bare(stem: str) -> str:
    """A name without what says that it is of a picture, or of a mask."""
    bare = without_mask_ending(stem)
    ending = next((suffix for suffix in OF_PICTURES if bare.lower().endswith(suffix) and len(bare) > len(suffix)), "")
    return bare[: len(bare) - len(ending)]


def _unwrapped(stem: str) -> str:
    """A name without the id or hash that a tool gave its copy of the image."""
    copy = ROBOFLOW.match(stem)
    return UPLOADED.sub("", copy.group(1) if copy else stem)


def _are_strangers(path_parts: Sequence[str], other: Sequence[str]) -> bool:
    """Whether both lie in folders that say something of the image, and not one of these is the same."""
    mine, theirs = ({part.casefold() for part in parts[:-1]} - SETS - SETS_OF_CVAT for parts in (path_parts, other))
    return bool(mine and theirs and not mine & theirs)


def _shared(path_parts: Sequence[str], other: Sequence[str]) -> int:
    """How many folders next to the file name are the same."""
    count = 0
    for mine, theirs in zip(reversed(path_parts[:-1]), reversed(other[:-1]), strict=False):
        if mine != theirs:
            break
        count += 1
    return count
