"""Image files with marked objects: to learn to count from, or to evaluate a counter on, without a project."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from fcnlab.core.counting.objective import (
    CountingObjective,
    counting_objective,
    held_out_counts,
    magnified,
    usual_spacing,
)
from fcnlab.core.images.coords import to_working
from fcnlab.core.images.picture import make_picture
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.network_model import NetworkModel, seen_hw, seen_picture
from fcnlab.core.training.splits import groups_alike, picture_descriptor
from fcnlab.domain.images import Imaging
from fcnlab.domain.network import NetworkSpec
from fcnlab.domain.scores import Score
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import ImportRefused, InvalidPoints, InvalidSetting, NoPoints
from fcnlab.services.images.importing import name_of_page
from fcnlab.services.images.pictures import hash_of
from fcnlab.services.predict.predicted_files import InputFile, input_files
from fcnlab.services.training.training_points import PictureMemory
from fcnlab.storage.formats.tables.mark_files import Mark, MarkFiles
from fcnlab.storage.image_readers.registry import open_image

BACKGROUND = "background"
SEARCH_S = 1.0
"""Seconds that a regular expression may search one name."""

ALIKE_AT_MOST = 3000
"""Files among which those that look alike are found; of more, each stands for itself."""


@dataclass(frozen=True, slots=True)
class MarkedFile:
    """An image file whose objects are all marked.

    Attributes:
        hw: height and width of the upright image.
        content_hash: see `image_hashes.hash_of`.
    """

    file: InputFile
    marks: tuple[Mark, ...]
    hw: tuple[int, int]
    content_hash: str


@dataclass(frozen=True, slots=True)
class MarkedFiles:
    """Files with marks, and the names of those that have none."""

    files: tuple[MarkedFile, ...]
    unmarked: tuple[str, ...]


def marked_files(images: Sequence[str], points: Path, *, max_pixels: int) -> MarkedFiles:
    """The image files of folders and patterns, with their marks.

    Args:
        images: see `predicted_files.input_files`.
        points: see `mark_files.MarkFiles`.
        max_pixels: larger images are refused.

    Raises:
        ImportRefused: no image is found, one cannot be read, or none has marks.
        InvalidPoints: marks that cannot be read, lie outside their image, or would be those of several images.
    """
    mark_files, marked, unmarked = MarkFiles(points), [], []
    owners: dict[str, str] = {}
    for file in input_files(images, max_pixels=max_pixels):
        _refuse_renamed(file)
        source, marks = mark_files.source(file.name), mark_files.marks(file.name)
        if source is None or marks is None:
            unmarked.append(file.name)
            continue
        owner = owners.setdefault(source, file.name)
        if owner != file.name:
            raise InvalidPoints(
                f"{source} would be the points of {owner} and of {file.name}: give every image points of its own, in "
                "folders of the same names if the images lie in folders"
            )
        with open_image(file.path, name=file.name, max_pixels=max_pixels) as image:
            hw = image.header.hw
        marked.append(MarkedFile(file, _inside(marks, hw, file.name), hw, hash_of(file, max_pixels=max_pixels)))
    if not marked:
        raise ImportRefused(f"none of {len(unmarked)} images has points in {points}: call the files after the images")
    return MarkedFiles(tuple(marked), tuple(unmarked))


def read_file(file: InputFile, *, max_pixels: int) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 of a file, upright. Raises ImportRefused, InvalidImage."""
    with open_image(file.path, name=file.name, max_pixels=max_pixels) as source:
        decoded = source.image(file.page or 0)
    rgb, _ = make_picture(
        decoded.pixels,
        wanted=Imaging(),
        stated=decoded.stated,
        is_window=decoded.is_window,
        nodata=decoded.nodata,
    )
    return rgb


def places_of(
    marked: MarkedFile, names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(rows, cols, places in the list of names) of the marks; those of other names are left out."""
    index_of = {name: index for index, name in enumerate(names)}
    kept = [(mark.row, mark.col, index_of[mark.name]) for mark in marked.marks if mark.name in index_of]
    table = np.array(kept, np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


class FilePoints:
    """Marked files as a training learns from them; see `services.finetuning.LearnedFrom`.

    Args:
        files: all of them marked.
        training: how; its objective counts.
        group_by: a regular expression; files in whose names it finds the same text are held out together, or not at
            all. Empty: those that look alike.
        max_pixels: larger images are refused.

    Raises:
        InvalidSetting: the expression is none.
        NoPoints: no object is marked.
    """

    def __init__(
        self, files: Sequence[MarkedFile], training: TrainingSpec, *, group_by: str = "", max_pixels: int
    ) -> None:
        self._files, self._max_pixels = sorted(files, key=lambda file: file.file.name), max_pixels
        names = sorted({mark.name for file in self._files for mark in file.marks} - {BACKGROUND})
        if not names:
            raise NoPoints("no object is marked in these images: there is nothing to count")
        self._names = [BACKGROUND, *names]
        self.classes = self.clicked = tuple(enumerate(self._names))
        self.background: int | None = 0
        self._memory = PictureMemory()
        self._network: NetworkSpec | None = None
        self._held = self._choose_held_out(training, group_by)
        positions = [places_of(file, self._names) for index, file in enumerate(self._files) if index not in self._held]
        objects = [
            (rows[indices > 0].astype(float), cols[indices > 0].astype(float)) for rows, cols, indices in positions
        ]
        self._spacing = usual_spacing(objects, [True] * len(objects), self.usual_hw())
        self._training = magnified(training, self._spacing, self.usual_hw())

    @property
    def training(self) -> TrainingSpec:
        """How to train, with the magnification that is used."""
        return self._training

    def objective(self, device: str) -> CountingObjective:
        """To count by the objective of the training."""
        assert self._network is not None
        ids = [class_id for class_id, _ in self.classes]
        hw = self.usual_hw()
        return counting_objective(
            self._network, self._training, class_ids=ids, spacing=self._spacing, image_hw=hw, device=device
        )

    def prepare_for(self, network: NetworkSpec) -> None:
        """Make pictures ready for this network."""
        self._network = network

    def usual_hw(self) -> tuple[int, int]:
        """The size most images have."""
        sizes = [file.hw for file in self._files]
        return max(sorted(set(sizes)), key=sizes.count)

    def learned_from(self) -> list[LabelledPicture]:
        """The pictures of an epoch."""
        return self._labelled(held=False)

    def held_out(self) -> list[LabelledPicture]:
        """The pictures that training never sees."""
        return self._labelled(held=True)

    def held_out_names(self) -> list[str]:
        """Names of the files that training never sees."""
        return [file.file.name for index, file in enumerate(self._files) if index in self._held]

    def described(self, score: Score | None) -> Score | None:
        """The score unchanged."""
        return score

    def measured(self, model: NetworkModel) -> Score | None:
        """The score unchanged: files with marks bring no masks."""
        return model.score

    def plan(self) -> dict[str, Any]:
        """What was decided at the beginning, as plain values."""
        return {"spacing": self._spacing, "magnification": self._training.magnification}

    def n_points(self) -> int:
        """Number of points learned from."""
        return sum(len(file.marks) for index, file in enumerate(self._files) if index not in self._held)

    def point_set_hash(self) -> str:
        """SHA-256 of what is learned from: files and marks."""
        digest = hashlib.sha256()
        for index, file in enumerate(self._files):
            if index not in self._held:
                digest.update(f"{file.content_hash} {file.marks!r}\n".encode())
        return digest.hexdigest()

    def learned_images(self) -> list[str]:
        """Hashes of the files learned from."""
        return sorted({file.content_hash for index, file in enumerate(self._files) if index not in self._held})

    def calibrated_images(self) -> list[str]:
        """Hashes of the files held out."""
        return sorted({self._files[index].content_hash for index in self._held})

    def _labelled(self, *, held: bool) -> list[LabelledPicture]:
        return [self._picture(file) for index, file in enumerate(self._files) if (index in self._held) == held]

    def _picture(self, marked: MarkedFile) -> LabelledPicture:
        assert self._network is not None
        hw = seen_hw(marked.hw, self._network, self._training)
        rows, cols, indices = places_of(marked, self._names)
        return LabelledPicture(
            marked.file.name,
            partial(self._read, marked, hw),
            to_working(rows, full=marked.hw[0], working=hw[0])[0].astype(np.float32),
            to_working(cols, full=marked.hw[1], working=hw[1])[0].astype(np.float32),
            indices,
            np.ones(len(indices), np.float32),
            is_complete=True,
            full_hw=marked.hw,
        )

    def _read(self, marked: MarkedFile, hw: tuple[int, int]) -> NDArray[np.uint8]:
        def read() -> NDArray[np.uint8]:
            return seen_picture(read_file(marked.file, max_pixels=self._max_pixels), hw)

        return self._memory.picture(marked.file.name, hw, read)

    def _choose_held_out(self, training: TrainingSpec, group_by: str) -> frozenset[int]:
        if not training.holdout:
            return frozenset()
        return held_out_counts(
            self._groups(group_by),
            [places_of(file, self._names)[2] for file in self._files],
            [True] * len(self._files),
            share=training.holdout,
            rng=np.random.default_rng(training.seed),
        )

    def _groups(self, group_by: str) -> list[list[int]]:
        names = [file.file.name for file in self._files]
        if group_by:
            return groups_by_name(names, group_by)
        if len(names) > ALIKE_AT_MOST:
            return [[index] for index in range(len(names))]
        return groups_alike(
            [picture_descriptor(read_file(file.file, max_pixels=self._max_pixels)) for file in self._files]
        )


def groups_by_name(names: Sequence[str], pattern: str) -> list[list[int]]:
    """Numbers of the names in which an expression finds the same text (of its groups, if it has some).

    Names in which it finds nothing stand for themselves.

    Raises:
        InvalidSetting: it is no regular expression, or searches a name for longer than SEARCH_S.
    """
    try:
        expression = regex.compile(pattern)
    except regex.error as failure:
        raise InvalidSetting(f"{pattern!r} is no regular expression ({failure}): try 'image_[0-9]+'") from failure
    groups: dict[object, list[int]] = {}
    for index, name in enumerate(names):
        try:
            match = expression.search(name, timeout=SEARCH_S)
        except TimeoutError as failure:
            raise InvalidSetting(
                f"{pattern!r} is still searching {name!r} after {SEARCH_S:g} s: a group that repeats should not hold "
                "another repetition; try 'image_[0-9]+'"
            ) from failure
        key: object = index if match is None else (match.groups() or match.group())
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _refuse_renamed(file: InputFile) -> None:
    """Raises ImportRefused for a file that has another name here than on the disk: its points would be another's."""
    wanted, name = file.path.name, PurePosixPath(file.name).name
    if file.page is not None:
        page_number = PurePosixPath(file.name).stem.rpartition("_")[2]
        wanted = name_of_page(wanted, file.page, 1 if len(page_number) <= 3 else 10 ** (len(page_number) - 1))
        wanted = PurePosixPath(wanted).name
    if name != wanted:
        raise ImportRefused(
            f"there are two images called {wanted}, and points are found by the name: give the folder that both lie "
            "below, or one of them at a time"
        )


def _inside(marks: Sequence[Mark], hw: tuple[int, int], name: str) -> tuple[Mark, ...]:
    """The marks, those on the very border moved to the last pixel. Raises InvalidPoints for one further out."""
    for mark in marks:
        if not (-1 <= mark.row <= hw[0] and -1 <= mark.col <= hw[1]):
            raise InvalidPoints(
                f"{name}: a point at x {mark.col}, y {mark.row} lies outside the {hw[1]} x {hw[0]} pixels of the "
                "image: x counts columns and y rows, from the upper left corner"
            )
    return tuple(
        replace(mark, row=min(max(mark.row, 0), hw[0] - 1), col=min(max(mark.col, 0), hw[1] - 1)) for mark in marks
    )
