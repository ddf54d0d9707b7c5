"""Training a network, from one epoch to the next."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.objectives import TrainingObjective
from fcnlab.domain.scores import Score
from fcnlab.domain.training import TrainingProgress, TrainingSpec

Pictures = Callable[[], Sequence[LabelledPicture]]
"""Gives the pictures of the next epoch: points that were added meanwhile come with it."""

Clock = Callable[[], float]
AVERAGE_WARMUP = 10.0
"""The average forgets faster than `ema` says during about so many first steps, else it would keep random weights."""


@dataclass(frozen=True, slots=True)
class FineTuningState:
    """What training did so far: enough to go on after an interruption.

    Attributes:
        epoch: epochs finished. steps: steps taken.
        seconds: wall-clock time spent.
        best: merit of the best held-out score; minus infinity before the first.
        since_best: epochs since then.
        kept: the epoch whose weights are kept; 0: those it began with.
        start: merit of the weights that the whole training began with; minus infinity where none is known.
        n_compared: epochs among which held-out pictures chose.
    """

    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    since_best: int = 0
    kept: int = 0
    start: float = -math.inf
    n_compared: int = 0


class FineTuning:
    """Trains one network for one objective. Changes only the network it was given.

    AdamW with warm-up and cosine; gradients are clipped; BatchNorm statistics of a trained encoder stay; an
    exponential moving average of the weights (Polyak and Juditsky 1992) is what is scored and kept, since
    corrections of the background make the weights themselves swing. Every random choice of an epoch follows from the
    seed and the number of the epoch, so training that was interrupted ends like training that was not, as long as no
    time limit cuts it short.

    Args:
        network: on `device` afterwards.
        spec: see TrainingSpec.
        objective: the objective: what is learned from a batch, and how well.
        now: a clock that counts seconds.
        keeps_start: the weights it begins with are kept when no epoch is better: a model, or a head fitted to the
            points. Random weights are not, nor those of a coarser network, for then no score would be of this one.
        start: merit of what the training began with whose last stage this is; None: it begins with this one.
    """

    def __init__(
        self,
        network: PointNetwork,
        spec: TrainingSpec,
        *,
        objective: TrainingObjective[Any],
        device: str,
        now: Clock,
        keeps_start: bool = True,
        start: float | None = None,
    ) -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last)  # a third quicker on a processor
        self.spec = spec
        self.state = FineTuningState()
        self._keeps_start, self._start = keeps_start, start
        self._held_out_names: tuple[tuple[str, int], ...] | None = None
        self._objective = objective
        self._now = now
        for parameter in network.encoder_parameters():
            parameter.requires_grad_(not spec.freeze_encoder)
        self.average: AveragedModel = AveragedModel(network, multi_avg_fn=_averaging(spec.ema))
        self.best: nn.Module = copy.deepcopy(self.average.module)
        self.optimiser = torch.optim.AdamW(_groups(network, spec), lr=spec.learning_rate)
        self._device_type = torch.device(device).type
        half = self._device_type == "cuda"
        self._precision = torch.bfloat16 if half and torch.cuda.is_bf16_supported() else torch.float16
        self._half = half
        self._scaler = torch.amp.GradScaler("cuda", enabled=half and self._precision is torch.float16)

    def epochs(self, pictures: Pictures, held_out: Pictures) -> Iterator[TrainingProgress]:
        """Train until the epochs, the time or the patience of `spec` are used up.

        Args:
            pictures: of the next epoch.
            held_out: what is scored after every epoch; none: nothing is scored, the last average is kept.

        Raises:
            NoPoints: no point has a weight above zero.
        """
        spec, objective = self.spec, self._objective
        if self.state.epoch == 0:
            held_out_pictures = held_out()
            merit = self._merit(objective.score(self.averaged(), held_out_pictures))
            self.state = FineTuningState(
                best=merit if self._keeps_start else -math.inf,  # training must not end worse than it began
                start=merit if self._start is None else self._start,
            )
            self._held_out_names = _names_of(held_out_pictures)
        while self.state.epoch < spec.epochs and not self._out_of_time() and not self._out_of_patience():
            started, before = self._now(), self.state.seconds
            rng = np.random.default_rng([spec.seed, self.state.epoch])
            loss, n_seen = self._epoch(objective.prepared(pictures()), rng, started)
            held_out_pictures = held_out()
            score = objective.score(self.averaged(), held_out_pictures)
            seconds = before + self._now() - started
            best, merit = self._best_so_far(held_out_pictures), self._merit(score)
            is_better = score is None or merit > best
            is_choice = score is not None and objective.chooses(held_out_pictures)
            is_best = not is_choice or merit >= best  # among equals the one that learned longer
            if is_best:
                self.best.load_state_dict(self.averaged().state_dict())
            self.state = replace(
                self.state,
                epoch=self.state.epoch + 1,
                seconds=seconds,
                best=max(best, merit),
                since_best=0 if is_better else self.state.since_best + 1,
                kept=self.state.epoch + 1 if is_best else self.state.kept,
                n_compared=self.state.n_compared + 1 if is_choice else 0,
            )
            yield TrainingProgress(
                self.state.epoch,
                spec.epochs,
                self.network.spec.network,
                loss,
                seconds,
                n_seen / max(seconds - before, 1e-6),
                self._seconds_left(),
                score,
                is_best,
            )

    def _merit(self, score: Score | None) -> float:
        return -math.inf if score is None else self._objective.merit(score)

    def _best_so_far(self, held_out_pictures: Sequence[LabelledPicture]) -> float:
        """The best merit; measured again when other points are held out than before."""
        names = _names_of(held_out_pictures)
        if names == self._held_out_names:
            return self.state.best
        if self._held_out_names is not None:  # after an interruption they are taken for the same
            self.state = replace(self.state, start=-math.inf)  # its weights are gone
        self._held_out_names = names
        if not self.state.kept and not self._keeps_start:
            return -math.inf
        assert isinstance(self.best, PointNetwork)
        return self._merit(self._objective.score(self.best, held_out_pictures))

    def is_better_than_start(self) -> bool:
        """Whether the weights kept do better on held-out pictures than those training began with; True if untold."""
        return not self.state.n_compared or self.state.best > self.state.start

    def averaged(self) -> PointNetwork:
        """The moving average of the network."""
        module = self.average.module
        assert isinstance(module, PointNetwork)
        return module

    def _epoch(
        self, pictures: Sequence[LabelledPicture], rng: np.random.Generator, started: float
    ) -> tuple[float, int]:
        """One pass over the pictures in random order, cut short when the time is up: mean loss, pictures seen."""
        self.network.train()
        order, size, before = rng.permutation(len(pictures)), self.spec.batch_size, self.state
        n_steps = math.ceil(len(order) / size)
        losses = []
        for step in range(n_steps):
            seconds = before.seconds + self._now() - started
            if step and self.spec.minutes and seconds >= self.spec.minutes * 60:
                break
            self._set_rate(before.epoch + step / n_steps, seconds)
            chosen = [pictures[index] for index in order[step * size : (step + 1) * size]]
            losses.append(self._step(self._objective.batch(chosen, rng)))
        self.state = replace(before, steps=before.steps + len(losses))
        return float(np.mean(losses)), min(len(order), len(losses) * size)

    def _step(self, batch: object) -> float:
        with torch.autocast(self._device_type, dtype=self._precision, enabled=self._half):
            output = self._objective.forward(self.network, batch)
        loss = self._objective.loss(output.float(), batch)
        self.optimiser.zero_grad(set_to_none=True)
        scaled: Tensor = self._scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(
            [parameter for parameter in self.network.parameters() if parameter.requires_grad], self.spec.clip
        )
        self._scaler.step(self.optimiser)
        self._scaler.update()
        self.average.update_parameters(self.network)
        return float(loss.detach())

    def _set_rate(self, epoch: float, seconds: float) -> None:
        factor = rate_factor(self._done(epoch, seconds), self.spec.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["highest"] * factor

    def _done(self, epoch: float, seconds: float) -> float:
        """Part of training that is over, 0..1, by epochs or by time, whichever is further."""
        by_time = seconds / (self.spec.minutes * 60) if self.spec.minutes else 0.0
        return min(1.0, max(epoch / self.spec.epochs, by_time))

    def _seconds_left(self) -> float:
        per_epoch = self.state.seconds / self.state.epoch
        by_epochs = per_epoch * (self.spec.epochs - self.state.epoch)
        by_time = self.spec.minutes * 60 - self.state.seconds if self.spec.minutes else math.inf
        return max(0.0, min(by_epochs, by_time))

    def _out_of_time(self) -> bool:
        return bool(self.spec.minutes) and self.state.seconds >= self.spec.minutes * 60

    def _out_of_patience(self) -> bool:
        return bool(self.spec.patience) and self.state.since_best >= self.spec.patience


def rate_factor(done: float, warmup: float) -> float:
    """Learning rate as a part of the highest, when a part `done` (0..1) of training is over.

    Rises in a straight line during `warmup`, then falls as half a cosine (Loshchilov and Hutter 2017,
    arXiv:1608.03983) to zero.
    """
    if done < warmup:
        return max(done / warmup, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _names_of(pictures: Sequence[LabelledPicture]) -> tuple[tuple[str, int], ...]:
    """Tells sets of held-out pictures apart."""
    return tuple((picture.image, len(picture.classes)) for picture in pictures)


def _groups(network: PointNetwork, spec: TrainingSpec) -> list[dict[str, object]]:
    """Parameters with their highest rates: what came trained learns slower; biases and norms do not decay."""
    groups: list[dict[str, object]] = []
    for parameters, factor in ((network.encoder_parameters(), spec.encoder_rate), (network.decoder_parameters(), 1.0)):
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        for chosen, decay in (
            ([parameter for parameter in learning if parameter.ndim > 1], spec.weight_decay),
            ([parameter for parameter in learning if parameter.ndim <= 1], 0.0),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "highest": spec.learning_rate * factor})
    return groups


def _averaging(ema: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], n_averaged: Tensor | int) -> None:
        steps = int(n_averaged)
        kept = min(ema, (1 + steps) / (AVERAGE_WARMUP + steps))
        torch._foreach_lerp_(list(averaged), list(current), 1 - kept)

    return update
