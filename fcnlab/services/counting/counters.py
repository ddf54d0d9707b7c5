"""Counters: what counts objects in pictures, and how well it does on images whose objects are all marked."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.counting.counting import calibration_of, network_count, network_count_with_density
from fcnlab.core.counting.scoring import radius_for, score_counts
from fcnlab.core.training.network_model import NetworkModel
from fcnlab.domain.counting import CountScore, ImageCount, Objective
from fcnlab.domain.network import NetworkSpec
from fcnlab.domain.training import TrainingProgress
from fcnlab.errors import CheckpointError, FcnlabError, InvalidClasses
from fcnlab.services.counting.marked_files import MarkedFile, places_of, read_file
from fcnlab.services.models.files import open_model
from fcnlab.services.training.finetuning import (
    CALIBRATED_IMAGES,
    LEARNED_IMAGES,
    LearnedFrom,
    TrainedNetwork,
    train_on,
)
from fcnlab.storage.files.checkpoints import load_checkpoint
from fcnlab.storage.files.devices import pick_device


class Counter(Protocol):
    """Counts the objects of a picture.

    `classes` are (id, name) with the background first; `spacing` is the usual distance between neighbours in pixels at
    full size.
    """

    @property
    def classes(self) -> tuple[tuple[int, str], ...]: ...  # noqa: D102
    @property
    def spacing(self) -> float: ...  # noqa: D102
    def count(self, rgb: NDArray[np.uint8], /) -> ImageCount: ...  # noqa: D102


@dataclass(frozen=True, slots=True, eq=False)
class NetworkCounter:
    """A trained network that counts.

    Attributes:
        learned_images: hashes of the files it learned from.
        calibrated_images: hashes of those that were held out: they calibrated it and chose its weights.
    """

    model: NetworkModel
    device: str
    learned_images: frozenset[str] = field(default_factory=frozenset)
    calibrated_images: frozenset[str] = field(default_factory=frozenset)

    @property
    def classes(self) -> tuple[tuple[int, str], ...]:
        """(id, name), the background first."""
        return self.model.classes

    @property
    def spacing(self) -> float:
        """Usual distance between neighbours, pixels at full size."""
        return calibration_of(self.model).spacing

    @property
    def has_density(self) -> bool:
        """Whether its counts are sums of a density."""
        return self.model.training.objective is Objective.DENSITY

    def count(self, rgb: NDArray[np.uint8]) -> ImageCount:
        """The objects of a picture (H, W, 3) uint8; a large one is counted in tiles."""
        return network_count(self.model, rgb, device=self.device)

    def count_with_density(self, rgb: NDArray[np.uint8]) -> tuple[ImageCount, NDArray[np.float32]]:
        """The same, and the density (object classes, H, W) float32: objects per pixel, whose sums are the counts."""
        return network_count_with_density(self.model, rgb, device=self.device)


def train_counter(
    points: LearnedFrom, network: NetworkSpec, *, device: str
) -> Generator[TrainingProgress, None, TrainedNetwork]:
    """Train a network on marked files, without leaving anything to go on from; see `finetuning.train_on`."""
    return train_on(points, network, device=pick_device(device))


def open_counter(path: Path, *, device: str) -> NetworkCounter:
    """The counter in a model file.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no network that counts.
        UnknownEncoder: it needs an encoder that timm does not know here.
    """
    device = pick_device(device)
    content = open_model(path, device=device)
    if not isinstance(content, NetworkModel):
        raise CheckpointError(
            f"{path} holds what the instant learner knows, no network: train one with fcnlab count train"
        )
    calibration_of(content)
    spec = load_checkpoint(path)[1]
    hashes = (spec.get(name) for name in (LEARNED_IMAGES, CALIBRATED_IMAGES))
    learned, calibrated = (frozenset(listed) if isinstance(listed, list) else frozenset() for listed in hashes)
    return NetworkCounter(content, device, learned, calibrated)


@dataclass(frozen=True, slots=True)
class EvaluatedFile:
    """One more file counted: its true and counted numbers by class id, or why it was left out."""

    done: int
    total: int
    name: str
    true: Mapping[int, int] = field(default_factory=dict)
    counted: Mapping[int, float] = field(default_factory=dict)
    refused: str = ""


class CounterEvaluation:
    """Evaluates a counter on marked files; `run` counts them one by one, `score` says how well.

    Args:
        counter: the counter.
        files: images whose objects are all marked; a counter with one object class takes points of any one name.
        radius: pixels at full size within which an object counts as found; None: half the usual distance.
        max_pixels: larger images are refused.

    Raises:
        InvalidClasses: points of a class that the counter does not know.
    """

    def __init__(
        self, counter: Counter, files: Sequence[MarkedFile], *, radius: float | None = None, max_pixels: int
    ) -> None:
        self._counter, self._files, self._max_pixels = counter, files, max_pixels
        self.radius = radius_for(counter.spacing) if radius is None else radius
        self._names = _names(counter, files)
        self._true: list[dict[int, NDArray[np.float64]]] = []
        self._counts: list[ImageCount] = []
        self._sizes: list[tuple[int, int]] = []

    def run(self) -> Iterator[EvaluatedFile]:
        """Count the files."""
        for done, marked in enumerate(self._files, start=1):
            try:
                counted = self._counter.count(read_file(marked.file, max_pixels=self._max_pixels))
            except FcnlabError as refusal:
                yield EvaluatedFile(done, len(self._files), marked.file.name, refused=str(refusal))
                continue
            rows, cols, indices = places_of(marked, self._names)
            ids = [class_id for class_id, _ in self._counter.classes]
            true = {
                class_id: np.column_stack([rows[indices == index], cols[indices == index]]).astype(np.float64)
                for index, class_id in enumerate(ids)
                if index
            }
            self._true.append(true)
            self._counts.append(counted)
            self._sizes.append(marked.hw)
            yield EvaluatedFile(
                done,
                len(self._files),
                marked.file.name,
                {class_id: len(points) for class_id, points in true.items()},
                {count.class_id: count.count for count in counted.counts},
            )

    def score(self) -> CountScore:
        """How well the files were counted. Raises NoPoints: none was."""
        return score_counts(self._true, self._counts, self._sizes, self.radius)


def _names(counter: Counter, files: Sequence[MarkedFile]) -> list[str]:
    """The name that stands for each class of the counter in the points of the files."""
    names = [name for _, name in counter.classes]
    marked = sorted({mark.name for file in files for mark in file.marks} - {names[0]})
    strange = [name for name in marked if name not in names]
    if strange and len(names) == 2 and len(marked) == 1:
        return [names[0], marked[0]]
    if strange:
        raise InvalidClasses(
            f"there are points of {strange[0]!r}, and the counter knows {', '.join(map(repr, names[1:]))}: "
            "rename the class in the point files"
        )
    return names
