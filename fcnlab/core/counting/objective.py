"""Counting as an objective of training: one blob per object, or a density whose sum is the count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.counting.batches import CountBatch, count_batch, density_batch, marks_of
from fcnlab.core.counting.calibrating import HeldOut, calibrated
from fcnlab.core.counting.counting import count_scores, counting_scores
from fcnlab.core.counting.density import density_loss, sigma_for
from fcnlab.core.counting.lcfcn import blob_loss
from fcnlab.core.counting.marks import magnification_for, spacing_of
from fcnlab.core.counting.scoring import radius_for, score_counts
from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.network_model import seen_hw
from fcnlab.core.training.objectives import FinalEvaluation
from fcnlab.core.training.splits import held_out
from fcnlab.domain.counting import Calibration, CountScore, ImageCount, Objective
from fcnlab.domain.network import NetworkSpec
from fcnlab.domain.scores import Score
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting

Positions = NDArray[np.floating]


def usual_spacing(
    objects: Sequence[tuple[Positions, Positions]], complete: Sequence[bool], image_hw: tuple[int, int]
) -> float:
    """The usual distance between neighbours, pixels at full size, by images that are all marked if there are any.

    Where only some objects are marked, neighbours are missing.

    Args:
        objects: (rows, cols) of the objects of each image.
        complete: whether each image is all marked.
        image_hw: the size most images have.
    """
    marked = [
        image_objects
        for image_objects, is_complete in zip(objects, complete, strict=True)
        if is_complete and len(image_objects[0]) > 1
    ]
    return spacing_of(marked or objects, image_hw)


def magnified(training: TrainingSpec, spacing: float, image_hw: tuple[int, int]) -> TrainingSpec:
    """The settings with the magnification that is used, chosen by the spacing unless one is given."""
    chosen = training.magnification or magnification_for(spacing, image_hw, training.working_side)
    return replace(training, magnification=chosen)


def counting_objective(
    spec: NetworkSpec,
    training: TrainingSpec,
    *,
    class_ids: Sequence[int],
    spacing: float,
    image_hw: tuple[int, int],
    device: str,
) -> CountingObjective:
    """The objective of a network that counts.

    Args:
        spec: of the network; one of a fixed size takes whole pictures, and turns them by halves only.
        training: see `magnified`.
        class_ids: the class of each score, the background first.
        spacing: see `usual_spacing`.
        image_hw: the size most images have.

    Raises:
        InvalidSetting: the settings do not count.
    """
    if not training.objective.is_counting:
        raise InvalidSetting(f"objective {training.objective} counts no objects: choose blobs or density")
    height, _ = seen_hw(image_hw, spec, training)
    is_fixed = spec.input_hw is not None
    return CountingObjective(
        replace(training, crop=0) if is_fixed else training,
        tuple(class_ids),
        spacing,
        height / image_hw[0],
        device,
        turns=not is_fixed,
    )


def held_out_counts(
    groups: Sequence[Sequence[int]],
    classes: Sequence[NDArray[np.int64]],
    complete: Sequence[bool],
    *,
    share: float,
    rng: np.random.Generator,
) -> frozenset[int]:
    """Numbers of the images that training never sees; only groups with an image that is all marked are drawn.

    Args:
        groups: image numbers that belong together.
        classes: places (N,) of the points of each image, 0 the background; a class stays in what is learned from.
        complete: whether each image is all marked.
        share: wanted part of the images of such groups.
    """
    usable = [list(group) for group in groups if any(complete[image] for image in group)]
    images = [image for group in usable for image in group]
    position_of = {image: index for index, image in enumerate(images)}
    renumbered = [[position_of[image] for image in group] for group in usable]
    objects = [classes[image][classes[image] > 0] for image in images]
    if not any(len(image_objects) for image_objects in objects):
        return frozenset()
    chosen = held_out(renumbered, objects, share=share, rng=rng)
    return frozenset(images[position] for position in chosen)


CHOOSING = 10
"""Held-out images from which their error says which weights are kept; fewer say too little."""

CALIBRATING = 60
"""Images that calibrate a counter; more take long and change little."""

FOLDS_FROM = 4
"""Held-out images from which each half is scored as the other half calibrates it."""


@dataclass(frozen=True, slots=True)
class CountingObjective:
    """Training to count objects, by the objective of `training`.

    Attributes:
        training: how pictures are cut and changed at random; its objective counts.
        class_ids: the class each score of the network stands for, the background first.
        spacing: usual distance between neighbours, pixels at full size.
        magnification: pixels the network sees to one at full size.
        turns: quarter turns as well as mirror images.
    """

    training: TrainingSpec
    class_ids: tuple[int, ...]
    spacing: float
    magnification: float
    device: str
    turns: bool = True

    def prepared(self, pictures: Sequence[LabelledPicture]) -> Sequence[LabelledPicture]:
        """The pictures unchanged: every object counts one."""
        return pictures

    def batch(self, pictures: Sequence[LabelledPicture], rng: np.random.Generator) -> CountBatch:
        """See `batches.count_batch`."""
        is_density = self.training.objective is Objective.DENSITY
        density = (len(self.class_ids), sigma_for(self.spacing * self.magnification)) if is_density else None
        return count_batch(pictures, self.training, rng, device=self.device, density=density, turns=self.turns)

    def forward(self, network: PointNetwork, batch: CountBatch) -> Tensor:
        """Scores (B, K, H, W)."""
        scores: Tensor = network(batch.rgb)
        return scores

    def loss(self, output: Tensor, batch: CountBatch) -> Tensor:
        """The loss () of scores; borders that were added to bring pictures of a batch to one size do not count."""
        if self.training.objective is Objective.DENSITY:
            return density_loss(output, *density_batch(batch))
        if len({part.hw for part in batch.parts}) == 1:
            return blob_loss(output, [part.marks for part in batch.parts]).total
        each = [
            blob_loss(output[index : index + 1, :, : part.hw[0], : part.hw[1]], [part.marks]).total
            for index, part in enumerate(batch.parts)
        ]
        return torch.stack(each).mean()

    def score(self, network: PointNetwork, pictures: Sequence[LabelledPicture]) -> CountScore | None:
        """How well the network counts in those pictures that are all marked, before it is calibrated."""
        return self._scored(_complete(pictures), self._held_out(network, pictures), Calibration(self.spacing))

    def merit(self, score: Score) -> float:
        """Minus the mean absolute error of the counts."""
        assert isinstance(score, CountScore)
        return -score.mae

    def chooses(self, pictures: Sequence[LabelledPicture]) -> bool:
        """Whether at least CHOOSING pictures are all marked: fewer say too little about which weights count best."""
        return len(_complete(pictures)) >= CHOOSING

    def final_evaluation(
        self, network: PointNetwork, held_out: Sequence[LabelledPicture], learned: Sequence[LabelledPicture]
    ) -> FinalEvaluation:
        """Calibration and score by the held-out pictures; each half is scored as the other half calibrates it.

        With nothing held out, thresholds and factors come from the pictures learned from: a density is a few percent
        too small there as well, for the mean squared error shrinks what it is unsure of. Nothing is said about how far
        counts are off: there they fit too well.
        """
        complete = _complete(held_out)
        if not complete:
            from_learned = self._calibrated(network, _complete(learned))
            return FinalEvaluation(None, calibration=replace(from_learned, spread={}))
        calibration = self._calibrated(network, complete)
        if len(complete) < FOLDS_FROM:
            return FinalEvaluation(self.score(network, complete), calibration=calibration)
        halves = complete[::2], complete[1::2]
        counted: list[ImageCount] = []
        for half, other in (halves, halves[::-1]):
            from_other = self._calibrated(network, other)
            counted += [self._counted(picture, from_other) for picture in self._held_out(network, half)]
        return FinalEvaluation(self._score_of([*halves[0], *halves[1]], counted), calibration=calibration)

    def _calibrated(self, network: PointNetwork, pictures: Sequence[LabelledPicture]) -> Calibration:
        chosen = self._held_out(network, pictures[:CALIBRATING])
        return calibrated(chosen, self.training.objective, self.class_ids, self.spacing)

    def _held_out(self, network: PointNetwork, pictures: Sequence[LabelledPicture]) -> Iterator[HeldOut]:
        """What the network says about those pictures that are all marked, one at a time."""
        was_training = network.training
        for picture in _complete(pictures):
            seen = picture.read()
            scores = counting_scores(network, seen, self.training.objective, device=self.device)
            yield HeldOut(scores, marks_of(picture), picture.full_hw or (seen.shape[0], seen.shape[1]))
        network.train(was_training)

    def _scored(
        self, pictures: Sequence[LabelledPicture], outputs: Iterable[HeldOut], calibration: Calibration
    ) -> CountScore | None:
        return (
            self._score_of(pictures, [self._counted(picture, calibration) for picture in outputs]) if pictures else None
        )

    def _counted(self, picture: HeldOut, calibration: Calibration) -> ImageCount:
        return count_scores(picture.scores, self.training.objective, calibration, self.class_ids, picture.full_hw)

    def _score_of(self, pictures: Sequence[LabelledPicture], counted: Sequence[ImageCount]) -> CountScore:
        sizes = [(picture.read().shape[:2], picture.full_hw) for picture in pictures]
        full = [hw or (seen[0], seen[1]) for seen, hw in sizes]
        true = []
        for picture, (seen, _), full_hw in zip(pictures, sizes, full, strict=True):
            marks = marks_of(picture).resized((seen[0], seen[1]), full_hw)
            true.append(
                {
                    class_id: np.column_stack(marks.of(class_index))
                    for class_index, class_id in enumerate(self.class_ids)
                    if class_index
                }
            )
        return score_counts(true, counted, full, radius_for(self.spacing))


def _complete(pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    return [picture for picture in pictures if picture.is_complete]
