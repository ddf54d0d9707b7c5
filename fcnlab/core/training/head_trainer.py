"""How a larger head is fitted, every picture encoded once; and the right trainer for a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from fcnlab.core.learner.ensemble import fit_ensemble
from fcnlab.core.learner.head import Samples, fit_head, missing_message, point_weights
from fcnlab.core.learner.samples import join_samples, samples_at
from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.larger_head import LargerHead
from fcnlab.core.networks.ordinal import refuse_order
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.loop import Clock, Pictures
from fcnlab.core.training.objectives import TrainingObjective
from fcnlab.core.training.scores import images_of, score_of, temperature_of
from fcnlab.core.training.trainer import NetworkTrainer, TrainingOutcome
from fcnlab.domain.counting import KeptEpoch
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.scores import PointScore, Score
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import InvalidSetting, NoPoints

PARTS = 8
"""After each part of the pictures the linear head is fitted and scored: a curve over the number of points."""

CAUTION = 0.05
"""L2 regularisation of the linear head."""

LARGER_FROM = 1000
"""Points from which the larger head speaks when nothing is held out that could decide."""


class HeadTrainer:
    """Fits a LargerHead. Offers what `trainer.NetworkTrainer` offers.

    Pictures are read when it starts; points that come later wait for the next training. An interrupted one begins
    again: it takes as long as encoding the pictures.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        training: TrainingSpec,
        *,
        encoder: EncoderParts,
        class_ids: Sequence[int],
        device: str,
        now: Clock,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            network = build_network(spec, encoder)
        assert isinstance(network, LargerHead)
        self._network = network.to(device)
        self._training, self._class_ids, self._now = training, tuple(class_ids), now
        self._held_out_samples: Samples | None = None
        self._held_out_images: NDArray[np.int64] | None = None
        self._kept: KeptEpoch | None = None

    def run(self, pictures: Pictures, held_out: Pictures) -> Iterator[TrainingProgress]:
        """Encode and fit; one value per part of the pictures, and one for the larger head.

        Raises:
            NoPoints: fewer than two classes have points.
        """
        started = self._now()
        held_out_pictures, learned = held_out(), [picture for picture in pictures() if len(picture.rows)]
        self._held_out_samples = (
            join_samples([self._sampled(picture) for picture in held_out_pictures]) if held_out_pictures else None
        )
        self._held_out_images = images_of(held_out_pictures)
        order = np.random.default_rng(self._training.seed).permutation(len(learned))
        parts = np.array_split(order, min(PARTS, len(order)))
        samples: dict[int, Samples] = {}
        best = -1.0
        for epoch, part in enumerate(parts, start=1):
            samples |= {int(index): self._sampled(learned[index]) for index in part}
            joined = join_samples([samples[index] for index in sorted(samples)])
            if len(np.unique(joined.class_ids)) < 2:
                continue
            head = fit_head(joined, class_weight=self._training.class_weight, regularisation=CAUTION)
            self._network.set_linear(head)
            step = self._step(epoch, len(parts) + 1, joined, self._now() - started, len(samples))
            best = max(best, _accuracy(step.score))
            yield step
        classes = np.unique(joined.class_ids)
        if len(classes) < 2:
            raise NoPoints(missing_message(tuple(self._class_ids[index] for index in classes)))
        self._network.set_larger(
            fit_ensemble(joined, class_weight=self._training.class_weight, seed=self._training.seed)
        )
        self._network.is_larger.fill_(1)
        last = self._step(len(parts) + 1, len(parts) + 1, joined, self._now() - started, len(samples))
        linear = _accuracy(step.score)
        is_better = len(joined.class_ids) >= LARGER_FROM if last.score is None else _accuracy(last.score) >= linear
        self._network.is_larger.fill_(int(is_better))
        self._kept = KeptEpoch(
            epoch=last.epoch if is_better else last.epoch - 1,
            epochs=last.epochs,
            network=self._network.spec.network.value,
            start="fitted",
            n_compared=0 if self._held_out_samples is None else 2,
        )
        yield replace(last, is_best=is_better)

    def outcome(
        self, _held_out: Sequence[LabelledPicture], _learned: Sequence[LabelledPicture] = ()
    ) -> TrainingOutcome:
        """The network with the head that did better on the points held out when `run` began."""
        network = self._network.eval()
        if self._held_out_samples is None:
            return TrainingOutcome(network, 1.0, None)
        temperature = temperature_of(
            network.logits_of(self._held_out_samples.features), self._held_out_samples.class_ids
        )
        score = self._score()
        assert score is not None
        return TrainingOutcome(network, temperature, replace(score, kept=self._kept))

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """An empty snapshot: an interrupted training begins again, see the class."""
        return {}, {}

    def restore(self, _arrays: dict[str, NDArray[Any]], _values: dict[str, Any]) -> None:
        """Ignore the snapshot: the training begins again, see the class."""

    def _sampled(self, picture: LabelledPicture) -> Samples:
        stages = self._network.encode(picture.read())
        rows, cols = picture.rows.astype(np.float64), picture.cols.astype(np.float64)
        return Samples(samples_at(stages, rows, cols), picture.classes, picture.weights)

    def _step(self, epoch: int, epochs: int, samples: Samples, seconds: float, n_seen: int) -> TrainingProgress:
        """How far it has come with the head that speaks just now."""
        logits = log_softmax(self._network.logits_of(samples.features).astype(np.float64), axis=1)
        present = tuple(int(class_index) for class_index in np.unique(samples.class_ids))
        shares = point_weights(samples.class_ids, samples.weights, present, self._training.class_weight)
        loss = -float((shares * logits[np.arange(len(logits)), samples.class_ids]).sum())
        return TrainingProgress(
            epoch,
            epochs,
            self._network.spec.network,
            loss,
            seconds,
            n_seen / max(seconds, 1e-6),
            seconds / epoch * (epochs - epoch),
            self._score(),
            is_best=True,
        )

    def _score(self) -> PointScore | None:
        if self._held_out_samples is None:
            return None
        predicted = self._network.logits_of(self._held_out_samples.features).argmax(axis=1)
        return score_of(
            predicted,
            self._held_out_samples.class_ids,
            class_ids=self._class_ids,
            grades=self._training.grades,
            images=self._held_out_images,
        )


def _accuracy(score: Score | None) -> float:
    return score.accuracy if isinstance(score, PointScore) else -1.0


def build_trainer(
    spec: NetworkSpec,
    training: TrainingSpec,
    *,
    encoder: EncoderParts | None,
    class_ids: Sequence[int],
    device: str,
    now: Clock,
    parent: PointNetwork | None = None,
    objective: TrainingObjective[Any] | None = None,
) -> NetworkTrainer | HeadTrainer:
    """The trainer of a network of the family; see NetworkTrainer for the arguments.

    Raises:
        InvalidSetting: a larger head without a trained encoder, or one that should start from a model, count, or know
            the order of grades.
    """
    if spec.network is not NetworkName.LARGER_HEAD:
        return NetworkTrainer(
            spec,
            training,
            encoder=encoder,
            class_ids=class_ids,
            device=device,
            now=now,
            parent=parent,
            objective=objective,
        )
    if training.objective.is_counting:
        raise InvalidSetting(f"{spec.network} is fitted to single pixels and cannot count: choose another network")
    refuse_order(spec, grades=training.grades, is_counting=False)
    if encoder is None:
        raise InvalidSetting(f"{spec.network} is a head on trained features: name an encoder")
    if parent is not None or training.parent:
        raise InvalidSetting(f"{spec.network} is fitted from zero in seconds: leave the parent out")
    return HeadTrainer(spec, training, encoder=encoder, class_ids=class_ids, device=device, now=now)
