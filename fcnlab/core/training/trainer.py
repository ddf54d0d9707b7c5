"""A whole training: the first weights, the stages it goes through, interruptions, the weights that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.learner.head import Samples, fit_head
from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.fcn import Fcn, grown, set_linear_head
from fcnlab.core.networks.ordinal import GradesOutput
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.batches import LabelledPicture, collated
from fcnlab.core.training.loop import Clock, FineTuning, FineTuningState, Pictures
from fcnlab.core.training.objectives import PointObjective, TrainingObjective
from fcnlab.core.training.ordinal_start import fit_ordinal_head
from fcnlab.core.training.scores import AS_IT_IS
from fcnlab.domain.counting import Calibration, KeptEpoch
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.scores import Score
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import CheckpointError

MERITS, MINUS_INFINITY = ("best", "start"), "-inf"


def snapshot(training: FineTuning) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, plain values) of a training between two epochs."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, module in (("network", training.network), ("average", training.average), ("best", training.best)):
        arrays |= {f"{name}.{key}": _array(tensor) for key, tensor in module.state_dict().items()}
    optimiser = training.optimiser.state_dict()
    for index, state in optimiser["state"].items():
        arrays |= {f"adam.{index}.{key}": _array(torch.as_tensor(value)) for key, value in state.items()}
    tally = asdict(training.state)
    for name in MERITS:
        if not np.isfinite(tally[name]):
            tally[name] = MINUS_INFINITY  # JSON knows no infinity
    return arrays, {"tally": tally, "network": training.network.spec.to_dict()}


def restore(training: FineTuning, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
    """Put a training of the same network and settings where the snapshot was taken.

    Raises:
        KeyError, RuntimeError, ValueError: the snapshot is of another network.
    """
    if values["network"] != training.network.spec.to_dict():
        raise ValueError("it is of another network")
    for name, module in (("network", training.network), ("average", training.average), ("best", training.best)):
        module.load_state_dict({key: torch.from_numpy(array) for key, array in _below(arrays, name).items()})
    state = training.optimiser.state_dict()
    state["state"] = {}
    for key, array in _below(arrays, "adam").items():
        index, _, field = key.partition(".")
        state["state"].setdefault(int(index), {})[field] = torch.from_numpy(array)
    training.optimiser.load_state_dict(state)
    tally = {"kept": values["tally"]["epoch"], **values["tally"]}  # of versions that did not say which is kept
    training.state = FineTuningState(**tally | {name: float(tally[name]) for name in MERITS if name in tally})


def _below(arrays: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    start = f"{name}."
    return {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().contiguous().numpy())


STAGES: dict[NetworkName, tuple[tuple[NetworkName, float], ...]] = {
    NetworkName.FCN16S: ((NetworkName.FCN32S, 0.4), (NetworkName.FCN16S, 0.6)),
    NetworkName.FCN8S: ((NetworkName.FCN32S, 0.3), (NetworkName.FCN16S, 0.2), (NetworkName.FCN8S, 0.5)),
}
"""What a staged training goes through, and the part of its epochs and minutes each stage gets."""

HEAD_CAUTION = 0.015
"""L2 regularisation of the linear head that FCN-2s starts from."""

ORDINAL_CAUTION = 1.0
"""That of a head with grades: one raw channel has to hold many grades apart, and a weaker one lets its weights grow.
Measured with 144 points in 8 images of five simulated grades."""

HEAD_RATE = 0.2
"""Learning rate of a head that was fitted or trained, as a part of that of random weights. A faster one undoes the fit
before it helps."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingOutcome:
    """What a training leaves: the network with averaged weights, how far its logits are too large, its score, and for
    one that counts how objects are told from its scores."""

    network: PointNetwork
    temperature: float
    score: Score | None
    calibration: Calibration | None = None


class NetworkTrainer:
    """Trains a network from nothing but an encoder.

    What is kept is the best epoch of the network wanted: never one of a coarser stage before it, nor random weights.

    FCN-16s and FCN-8s go coarse to fine, each stage starting as the one before (Long, Shelhamer, Darrell 2015, section
    4.3), unless `training.staged` is off. FCN-2s with fixed upsampling starts from a linear head fitted to its
    features at the points. All else starts from random weights behind the encoder.

    Args:
        spec: the network wanted.
        encoder: what `spec.encoder` names; None for a network from scratch.
        class_ids: the class each score stands for.
        now: a clock that counts seconds.
        parent: the network that `training.parent` names, of the same spec: to start from, in one stage. One that is
            restored needs none.
        objective: what it is trained for; None: to tell labelled pixels apart.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        training: TrainingSpec,
        *,
        encoder: EncoderParts | None,
        class_ids: Sequence[int],
        device: str,
        now: Clock,
        parent: PointNetwork | None = None,
        objective: TrainingObjective[Any] | None = None,
    ) -> None:
        self._parent = parent
        if spec.input_hw is not None:
            training = replace(training, crop=0)  # such a network takes nothing but whole pictures
        self._spec, self._training, self._encoder = spec, training, encoder
        self._objective: TrainingObjective[Any] = objective or PointObjective(training, tuple(class_ids), device)
        self._device, self._now = device, now
        self._goes_on = bool(training.parent)
        stages = STAGES.get(spec.network, ()) if training.staged and not self._goes_on else ()
        self._stages = _affordable(stages or ((spec.network, 1.0),), training)
        self._stage = 0
        self._before = (0, 0.0)
        self._running: FineTuning | None = None

    def run(self, pictures: Pictures, held_out: Pictures) -> Iterator[TrainingProgress]:
        """Train to the end, or on from where `restore` put it. See FineTuning.epochs."""
        total = sum(epochs for _, epochs, _ in self._stages)
        while self._stage < len(self._stages):
            self.started(pictures)
            epochs_before, seconds_before = self._before
            running = self._running
            assert running is not None
            for step in running.epochs(pictures, held_out):
                yield replace(
                    step,
                    epoch=epochs_before + step.epoch,
                    epochs=total,
                    seconds=seconds_before + step.seconds,
                    seconds_left=step.seconds_left + self._later(step),
                )
            self._before = (epochs_before + running.state.epoch, seconds_before + running.state.seconds)
            self._stage += 1
            if self._stage < len(self._stages):
                self._running = self._grow(running)

    def started(self, pictures: Pictures) -> PointNetwork:
        """The network as training starts with it; `run` goes on from there."""
        if self._running is None:
            self._running = self._start(pictures)
        return self._running.network

    def averaged(self) -> PointNetwork:
        """The moving average of the network that is trained just now."""
        assert self._running is not None
        return self._running.averaged()

    def outcome(self, held_out: Sequence[LabelledPicture], learned: Sequence[LabelledPicture] = ()) -> TrainingOutcome:
        """The network as it is kept. Call it after `run`.

        Args:
            held_out: pictures that training did not see.
            learned: those it did: a counter is calibrated on them when nothing is held out.
        """
        assert self._running is not None
        network = self._running.best
        assert isinstance(network, PointNetwork)
        network.eval()
        final = self._objective.final_evaluation(network, held_out, learned)
        score = None if final.score is None else replace(final.score, kept=self._kept())
        return TrainingOutcome(network, final.temperature, score, final.calibration)

    def _kept(self) -> KeptEpoch:
        """Which weights `outcome` gives."""
        assert self._running is not None
        state, network = self._running.state, self._running.network
        epochs_before = self._before[0] - state.epoch if self._stage == len(self._stages) else self._before[0]
        return KeptEpoch(
            epoch=epochs_before + state.kept if state.kept else 0,
            epochs=epochs_before + state.epoch,
            network=network.spec.network.value,
            start="model" if self._goes_on else "fitted" if self._fits_head_first(network) else "random",
            is_better=self._running.is_better_than_start(),
            n_compared=state.n_compared,
        )

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """(arrays, plain values) from which `restore` goes on; call it between two steps of `run`."""
        assert self._running is not None
        arrays, state = snapshot(self._running)
        return arrays, {"stage": self._stage, "before": list(self._before), "state": state}

    def restore(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        """Be where a snapshot of the same training was taken.

        Raises:
            CheckpointError: it is of another training.
        """
        try:
            self._stage = int(values["stage"])
            epochs, seconds = values["before"]
            self._before = (int(epochs), float(seconds))
            self._running = self._fine_tuning(self._built(self._stages[self._stage][0]))
            restore(self._running, arrays, values["state"])
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as failure:
            raise CheckpointError(f"the interrupted training does not fit ({failure}): start a new one") from failure

    def _start(self, pictures: Pictures) -> FineTuning:
        network = self._built(self._stages[self._stage][0])
        if self._parent is not None:
            network.load_state_dict(self._parent.state_dict())
        elif isinstance(network, Fcn) and self._fits_head_first(network):
            start_from_head(network, pictures(), device=self._device)
        return self._fine_tuning(network)

    def _grow(self, running: FineTuning) -> FineTuning:
        trained = running.best
        assert isinstance(trained, PointNetwork)
        finer = grown(trained, replace(self._spec, network=self._stages[self._stage][0]))
        return self._fine_tuning(finer, start=running.state.start)

    def _built(self, name: NetworkName) -> PointNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._training.seed)
            return build_network(replace(self._spec, network=name), self._encoder)

    def _fine_tuning(self, network: PointNetwork, *, start: float | None = None) -> FineTuning:
        _, epochs, minutes = self._stages[self._stage]
        spec = replace(self._training, epochs=epochs, minutes=minutes)
        if self._goes_on or self._fits_head_first(network):
            rate = spec.encoder_rate / HEAD_RATE  # the encoder's own rate stays
            spec = replace(spec, learning_rate=spec.learning_rate * HEAD_RATE, encoder_rate=min(1.0, rate))
        is_between = 0 < self._stage < len(self._stages) - 1  # there the next stage goes on from the better of both
        keeps_start = self._goes_on or self._fits_head_first(network) or is_between
        return FineTuning(
            network,
            spec,
            objective=self._objective,
            device=self._device,
            now=self._now,
            keeps_start=keeps_start,
            start=start,
        )

    def _fits_head_first(self, network: PointNetwork) -> bool:
        return not self._training.objective.is_counting and starts_from_head(network)

    def _later(self, step: TrainingProgress) -> float:
        """Seconds that the stages after this one will take."""
        per_epoch = step.seconds / step.epoch
        later = self._stages[self._stage + 1 :]
        return sum(min(epochs * per_epoch, minutes * 60 or float("inf")) for _, epochs, minutes in later)


def starts_from_head(network: PointNetwork) -> bool:
    """Whether training begins with a linear head on the network's features: FCN-2s whose upsampling is fixed."""
    return isinstance(network, Fcn) and network.spec.network is NetworkName.FCN2S and network.mode is not None


def start_from_head(network: Fcn, pictures: Sequence[LabelledPicture], *, device: str) -> None:
    """Give the network the scores of a linear head fitted, class-balanced, to its features at the points.

    Features are standardised over all points, each stage divided by the root of its channels, as in the instant
    learner; both are folded into the weights.
    """
    network.to(device).eval()
    pictures = [picture for picture in pictures if len(picture.rows)]
    features = []
    with torch.no_grad():
        for picture in pictures:
            batch = collated([picture], AS_IT_IS, None, device=device)
            batch_features = network.features_at(batch.rgb, batch.images, batch.rows, batch.cols)
            features.append(batch_features.float().cpu().numpy())
    table = np.concatenate(features)
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    loudness = np.concatenate([np.full(channels, channels**-0.5) for _, channels in network.feature_order])
    scale = np.where(deviation > 1e-6, loudness / np.maximum(deviation, 1e-6), 0).astype(np.float32)
    classes = np.concatenate([picture.classes for picture in pictures])
    samples = Samples((table - mean) * scale, classes, np.concatenate([picture.weights for picture in pictures]))
    rows, head_weights, head_bias = _fitted_head(network, samples)
    weights = np.zeros((network.n_raw, table.shape[1]), np.float32)
    bias = np.zeros(network.n_raw, np.float32)
    weights[rows] = head_weights * scale
    bias[rows] = head_bias - weights[rows] @ mean
    set_linear_head(network, torch.from_numpy(weights).to(device), torch.from_numpy(bias).to(device))


def _fitted_head(network: Fcn, samples: Samples) -> tuple[list[int], NDArray[np.float32], NDArray[np.float32]]:
    """Raw channels (C,) that were fitted, their weights (C, D) and bias (C,); with grades the thresholds are, too."""
    if isinstance(network.output, GradesOutput):
        fitted = fit_ordinal_head(samples, network.output, n_raw=network.n_raw, regularisation=ORDINAL_CAUTION)
        return list(range(network.n_raw)), *fitted
    head = fit_head(samples, regularisation=HEAD_CAUTION)
    return list(head.class_ids), head.weights, head.bias


def _affordable(
    stages: Sequence[tuple[NetworkName, float]], training: TrainingSpec
) -> tuple[tuple[NetworkName, int, float], ...]:
    """(network, epochs, minutes) of every stage; each gets an epoch at least."""
    return tuple((name, max(1, round(part * training.epochs)), part * training.minutes) for name, part in stages)
