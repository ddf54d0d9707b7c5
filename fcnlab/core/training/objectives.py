"""What a network is trained for, as training sees it: the loss of a batch, the score on held-out pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.training.batches import Batch, LabelledPicture, collated, weighted
from fcnlab.core.training.losses import absence_loss, point_loss
from fcnlab.core.training.scores import logits_of, score_points, temperature_of
from fcnlab.domain.counting import Calibration
from fcnlab.domain.scores import PointScore, Score
from fcnlab.domain.training import TrainingSpec

OneBatch = TypeVar("OneBatch")


@dataclass(frozen=True, slots=True)
class FinalEvaluation:
    """Score, temperature and calibration of a network once it is trained.

    Attributes:
        score: on held-out pictures; None when there are none.
        temperature: what its logits are divided by before they become probabilities.
        calibration: how objects are told from its scores; None for a network that counts none.
    """

    score: Score | None
    temperature: float = 1.0
    calibration: Calibration | None = None


class TrainingObjective(Protocol[OneBatch]):
    """One objective. Training goes from pictures to `prepared`, `batch`, `forward`, `loss`, and at times `score`."""

    def prepared(self, pictures: Sequence[LabelledPicture]) -> Sequence[LabelledPicture]:
        """The pictures of an epoch with weights that belong together."""

    def batch(self, pictures: Sequence[LabelledPicture], rng: np.random.Generator) -> OneBatch:
        """What one step learns from: these pictures, changed at random."""

    def forward(self, network: PointNetwork, batch: OneBatch) -> Tensor:
        """The network's output for a batch, at the pixels that the loss reads."""

    def loss(self, output: Tensor, batch: OneBatch) -> Tensor:
        """The loss () of an output in float32."""

    def score(self, network: PointNetwork, pictures: Sequence[LabelledPicture]) -> Score | None:
        """How well a network does on pictures it did not learn from; None when they tell nothing."""

    def merit(self, score: Score) -> float:
        """A score as a number, of which more is better."""

    def chooses(self, pictures: Sequence[LabelledPicture]) -> bool:
        """Whether these held-out pictures are enough to say which weights are kept; else the last ones are."""

    def final_evaluation(
        self, network: PointNetwork, held_out: Sequence[LabelledPicture], learned: Sequence[LabelledPicture], /
    ) -> FinalEvaluation:
        """Score, temperature and calibration of the trained network, by held-out pictures and those learned from."""


@dataclass(frozen=True, slots=True)
class PointObjective:
    """The class of every pixel, by the point loss at labelled pixels.

    Attributes:
        training: how pictures are changed at random, and how classes weigh.
        class_ids: the class each score of the network stands for.
    """

    training: TrainingSpec
    class_ids: tuple[int, ...]
    device: str

    def prepared(self, pictures: Sequence[LabelledPicture]) -> Sequence[LabelledPicture]:
        """See `batches.weighted`."""
        return weighted(pictures, self.training.class_weight)

    def batch(self, pictures: Sequence[LabelledPicture], rng: np.random.Generator) -> Batch:
        """See `batches.collated`."""
        return collated(pictures, self.training, rng, device=self.device)

    def forward(self, network: PointNetwork, batch: Batch) -> Tensor:
        """Logits (N, K) at the points."""
        return network.logits_at(batch.rgb, batch.images, batch.rows, batch.cols)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """See `losses.point_loss`, and `losses.absence_loss` for pixels of which only that is known."""
        is_labelled = batch.classes >= 0
        if bool(is_labelled.all()):
            return point_loss(output, batch.classes, batch.weights)
        absence = absence_loss(output[~is_labelled], batch.images[~is_labelled], batch.absent)
        if not bool(is_labelled.any()):
            return self.training.absent_weight * absence
        labelled = point_loss(output[is_labelled], batch.classes[is_labelled], batch.weights[is_labelled])
        return labelled + self.training.absent_weight * absence

    def score(self, network: PointNetwork, pictures: Sequence[LabelledPicture]) -> PointScore | None:
        """See `scores.score_points`."""
        return score_points(
            network, pictures, class_ids=self.class_ids, device=self.device, grades=self.training.grades
        )

    def merit(self, score: Score) -> float:
        """The accuracy."""
        assert isinstance(score, PointScore)
        return score.accuracy

    def chooses(self, pictures: Sequence[LabelledPicture]) -> bool:
        """Any held-out point is better than none."""
        return bool(pictures)

    def final_evaluation(
        self, network: PointNetwork, held_out: Sequence[LabelledPicture], _learned: Sequence[LabelledPicture]
    ) -> FinalEvaluation:
        """The score, and the temperature by the same held-out points."""
        temperature = temperature_of(*logits_of(network, held_out, device=self.device))
        return FinalEvaluation(self.score(network, held_out), temperature)
