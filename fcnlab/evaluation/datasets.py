"""A simulated labeller on a whole data set: a few pixels per image, drawn at random or where a learner is unsure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.queries import Strategy, ask_pixels
from fcnlab.core.training.grade_scores import GradeTally
from fcnlab.core.training.scores import confusion, iou_per_class
from fcnlab.domain.project import IGNORE
from fcnlab.domain.scores import GradeScore
from fcnlab.errors import InvalidSetting
from fcnlab.evaluation.images import Example, read_example


@dataclass(frozen=True, slots=True)
class Labels:
    """The labelled pixels of one picture: rows, cols, class_ids (N,) int64."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    class_ids: NDArray[np.int64]

    def joined(self, other: Labels) -> Labels:
        """These labels and the others behind them."""
        pairs = ((self.rows, other.rows), (self.cols, other.cols), (self.class_ids, other.class_ids))
        return Labels(*(np.concatenate(pair) for pair in pairs))


class DatasetLearner(Protocol):
    """A learner that can be measured on a data set."""

    def prepare(self, example: Example) -> None:
        """Do all work on a picture that needs no labels."""

    def learn(self, labels: Mapping[str, Labels], n_classes: int) -> None:
        """Learn, from nothing, what these labels say about the pictures prepared."""

    def probabilities(self, example: Example) -> NDArray[np.float32]:
        """(K, H, W) float32 of a prepared picture, or (M, K, H, W) of an ensemble."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of labelling: so many pixels per image by now, and how good the learner is with them.

    Attributes:
        ious: by class; None for a class that never occurs.
        fit_s, query_s: seconds of learning, and of asking for the next pixels.
        grades: how far grades are off; None where no class is one.
    """

    pixels: int
    mean_iou: float
    ious: tuple[float | None, ...]
    fit_s: float
    query_s: float = 0.0
    grades: GradeScore | None = None


@dataclass(slots=True)
class DatasetRun:
    """Rounds on one data set. Files are read one by one; `encode_s` is the time to encode the pictures trained on,
    `grades` are the ids of the classes that are grades, the lowest first."""

    folder: Path
    trained_on: Sequence[str]
    scored_on: Sequence[str]
    n_classes: int
    encode_s: float = 0.0
    labels: dict[str, Labels] = field(default_factory=dict)
    grades: tuple[int, ...] = ()

    def rounds(
        self, learner: DatasetLearner, *, pixels: Sequence[int], pick: Strategy, rng: np.random.Generator
    ) -> Iterator[Round]:
        """Label, learn and score once per entry of `pixels` (per image, in all); only the first ones are all random.

        Raises:
            InvalidSetting: the numbers do not rise.
        """
        if list(pixels) != sorted(set(pixels)) or pixels[0] < 1:
            raise InvalidSetting(f"pixels {list(pixels)} must rise from 1 or more: each round adds to the one before")
        for name in [*self.trained_on, *self.scored_on]:
            example = read_example(self.folder, name)
            started = time.perf_counter()
            learner.prepare(example)
            self.encode_s += (time.perf_counter() - started) if name in set(self.trained_on) else 0
        for count in pixels:
            query_s = self._ask(learner, count, pick, rng)
            started = time.perf_counter()
            learner.learn(self.labels, self.n_classes)
            fit_s = time.perf_counter() - started
            counts, grades = self._counts(learner)
            ious = iou_per_class(counts)
            shown = tuple(None if np.isnan(iou) else float(iou) for iou in ious)
            yield Round(count, float(np.nanmean(ious)), shown, fit_s, query_s, grades)

    def _ask(self, learner: DatasetLearner, count: int, pick: Strategy, rng: np.random.Generator) -> float:
        """Label further pixels of every image until it has `count`; seconds the learner took to choose them."""
        seconds = 0.0
        for name in self.trained_on:
            example, earlier = read_example(self.folder, name), self.labels.get(name)
            started = time.perf_counter()
            rows, cols = _next_pixels(learner, example, earlier, count, pick, rng)
            seconds += time.perf_counter() - started
            new = Labels(rows, cols, example.truth[rows, cols].astype(np.int64))
            self.labels[name] = new if earlier is None else earlier.joined(new)
        return seconds

    def _counts(self, learner: DatasetLearner) -> tuple[NDArray[np.int64], GradeScore | None]:
        tally = GradeTally(self.grades)
        counts = np.zeros((self.n_classes, self.n_classes), np.int64)
        for name in self.scored_on:
            example = read_example(self.folder, name)
            probabilities = learner.probabilities(example)
            probabilities = probabilities.mean(axis=0) if probabilities.ndim == 4 else probabilities
            of_image = confusion(example.truth, probabilities.argmax(axis=0).astype(np.uint8), self.n_classes)
            counts += of_image
            tally.add(of_image)
        return counts, tally.score()


def _next_pixels(
    learner: DatasetLearner,
    example: Example,
    earlier: Labels | None,
    count: int,
    pick: Strategy,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels whose truth is known: at random in the first round, then as `pick` says, none next to an earlier one."""
    valid = example.truth != IGNORE
    if earlier is None:
        width = example.truth.shape[1]
        flat = rng.choice(np.flatnonzero(valid), min(count, int(valid.sum())), replace=False)
        return flat // width, flat % width
    wanted = count - len(earlier.rows)
    if pick == "random":
        probabilities = np.ones((1, *example.truth.shape), np.float32)
    else:
        probabilities = learner.probabilities(example)
    pixels = ask_pixels(
        probabilities, count=wanted, strategy=pick, taken=(earlier.rows, earlier.cols), valid=valid, rng=rng
    )
    return np.asarray(pixels[0], np.int64), np.asarray(pixels[1], np.int64)
