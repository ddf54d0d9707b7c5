"""What is measured of those in a comparison, in the worker: score, mean IoU, time per image, parameters, masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.counting.counting import counted_mask, network_count
from fcnlab.core.networks.sliding import SlidingDense, SlidingWindow
from fcnlab.core.training.network_model import NetworkModel, network_probabilities, seen_hw, seen_picture
from fcnlab.domain.comparison import (
    LARGER,
    LARGER_FROM,
    LINEAR,
    Comparison,
    ComparisonSpec,
    Measured,
    Timing,
    key_of,
    mask_file,
)
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import Training
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.comparing.instant_participant import InstantParticipant, Larger, Linear
from fcnlab.services.counting.training_points import points_for
from fcnlab.services.images.importing import read_picture
from fcnlab.services.labels.expert_masks import expert_truth, images_with_truth, mean_iou_on
from fcnlab.services.live.masks import kept_mask
from fcnlab.services.models.files import NetworkPredictor, load_network, quick_twin
from fcnlab.storage.database import (
    repository_comparisons,
    repository_images,
    repository_projects,
    repository_trainings,
)
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.png import mask_png
from fcnlab.storage.files.whole_files import write_whole

SHOWN_SIDE = 480
"""Longer side of the masks kept to be shown."""

RUNS, FEW_RUNS, LONG_S = 5, 3, 10.0
"""Runs whose median time is told; fewer when they have taken so many seconds."""

REFIT_S = 60.0
"""An instant learner that takes longer to fit is not fitted again to be timed."""

PATIENCE_S = 4.0
"""A picture that would take longer is computed in part, and its time extrapolated."""

PIXELS_TRIED = 1024

INSTANT_KINDS: dict[str, type[InstantParticipant]] = {LINEAR: Linear, LARGER: Larger}


class Segments(Protocol):
    """A predictor: gives a mask (H, W) uint8 of class ids for a picture (H, W, 3) uint8."""

    def mask(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]: ...  # noqa: D102


class CountedMasks:
    """The objects that a network found, as a mask: blobs in their class, the background elsewhere."""

    def __init__(self, model: NetworkModel, device: str) -> None:
        self._model, self._device = model, device

    def mask(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids (h, w) uint8 at the size the network looks at a picture (H, W, 3) uint8."""
        return counted_mask(self._model, rgb, device=self._device)


class Bench:
    """What all in a comparison are measured on: the same points, masks and pictures."""

    def __init__(self, lab: Lab, comparison: Comparison) -> None:
        self.lab, self.comparison = lab, comparison
        self.spec = ComparisonSpec.from_dict(comparison.spec)
        self.points = points_for(
            lab,
            comparison.project_id,
            self.spec.training_specs()[0],
            image_ids=self.spec.image_ids,
            plan=self.spec.plan(),
            as_of=self.spec.as_of_time(),
        )

    def project(self) -> Project:
        """The project, with the settings of its learner."""
        with reading(self.lab.sessions) as session:
            return repository_projects.project(session, project_id=self.comparison.project_id)

    def mean_iou(self, predictor: Segments) -> tuple[float | None, int]:
        """Mean IoU over the classes, on the true masks of held-out images, and how many of those there are."""
        class_ids = [class_id for class_id, _ in self.points.classes]
        return mean_iou_on(self.lab, self._truths(), class_ids=class_ids, mask_of=predictor.mask)

    def is_measured_on_experts(self) -> bool:
        """Whether held-out images have expert masks: then `mean_iou` is taken on these alone."""
        with_truth = images_with_truth(self.lab, project_id=self.comparison.project_id)
        return not set(self.spec.held_out).isdisjoint(with_truth)

    def _truths(self) -> Iterator[tuple[ImageInfo, NDArray[np.uint8]]]:
        """The held-out images with a mask that is taken for true."""
        truth_of = expert_truth if self.is_measured_on_experts() else kept_mask
        for image in self._images(self.spec.held_out):
            truth = truth_of(self.lab, image)
            if truth is not None:
                yield image, truth

    def keep_masks(self, key: str, predictor: Segments) -> dict[int, str]:
        """Write the masks that the page shows; their files by image id."""
        files = {}
        for image in self._images(self.spec.shown_ids):
            mask = predictor.mask(read_picture(self.lab, image))
            factor = min(1.0, SHOWN_SIDE / max(mask.shape))
            height, width = (max(1, round(side * factor)) for side in mask.shape)
            small = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
            files[image.id] = mask_file(self.comparison.id, key, image.id)
            write_whole(self.lab.folders.comparisons / files[image.id], mask_png(small))
        return files

    def picture(self) -> NDArray[np.uint8]:
        """The picture whose time is taken, at the input size of all."""
        hw = self.points.usual_hw()
        image = next(candidate for candidate in self._images(self.spec.image_ids) if candidate.hw == hw)
        factor = min(1.0, self.spec.working_side / max(hw))
        height, width = (max(1, round(side * factor)) for side in hw)
        return seen_picture(read_picture(self.lab, image), (height, width))

    def _images(self, image_ids: tuple[int, ...]) -> list[ImageInfo]:
        with reading(self.lab.sessions) as session:
            images = repository_images.images_by_ids(session, image_ids=list(image_ids))
        by_id = {image.id: image for image in images}
        return [by_id[image_id] for image_id in image_ids if image_id in by_id]


def bench_of(lab: Lab, *, comparison_id: int) -> Bench:
    """The bench of a comparison. Raises UnknownComparison."""
    with reading(lab.sessions) as session:
        return Bench(lab, repository_comparisons.comparison(session, comparison_id=comparison_id))


def measure_network(lab: Lab, training: Training, checkpoint: Path) -> dict[str, Any]:
    """Results of a network that a training of a comparison left in `checkpoint`: key -> plain values.

    The last network of a comparison brings new times of all the others with it, see `timed_by_turns`.
    """
    assert training.comparison_id is not None
    bench = bench_of(lab, comparison_id=training.comparison_id)
    results = _measured_network(bench, training, checkpoint)
    with reading(lab.sessions) as session:
        others = repository_trainings.trainings_of_comparison(session, comparison_id=bench.comparison.id)
    if any(other.is_open for other in others if other.id != training.id):
        return results
    return results | timed_by_turns(bench, {**bench.comparison.results, **results})


def _measured_network(bench: Bench, training: Training, checkpoint: Path) -> dict[str, Any]:
    lab = bench.lab
    key, model = key_of(training.id), load_network(checkpoint, device=lab.device)
    if bench.spec.is_counting:
        predictor: Segments = CountedMasks(model, lab.device)
        mean_iou, n_masks = None, 0
    else:
        predictor = NetworkPredictor(quick_twin(model, lab.device), device=lab.device)
        point_score = model.score if isinstance(model.score, PointScore) else None
        if point_score is not None and point_score.mean_iou is not None:  # measured when its training ended
            mean_iou, n_masks = point_score.mean_iou, point_score.n_masks
        else:
            mean_iou, n_masks = bench.mean_iou(predictor)
    n_parameters = sum(parameter.numel() for parameter in model.network.parameters())
    of_encoder = sum(parameter.numel() for parameter in model.network.encoder_parameters())
    measured = Measured(
        score=model.score,
        mean_iou=mean_iou,
        n_masks=n_masks,
        by_experts=not bench.spec.is_counting and bench.is_measured_on_experts(),
        timing=network_timing(model, bench.picture(), device=lab.device),
        parameters=n_parameters,
        learned=n_parameters - (of_encoder if training.training.freeze_encoder else 0),
        n_points=model.n_points,
        seconds=training.seconds,
        masks=bench.keep_masks(key, predictor),
    )
    return {key: measured.to_dict()}


def measure_instant(lab: Lab, *, comparison_id: int) -> dict[str, Any]:
    """Results of the instant learner: with its linear head, and with the larger one when there are points enough.

    Why one of them failed stands in its place: the others go on.
    """
    bench = bench_of(lab, comparison_id=comparison_id)
    results: dict[str, Any] = {}
    for key, kind in INSTANT_KINDS.items():
        if key == LARGER and bench.points.n_points() < LARGER_FROM:
            continue
        try:
            results[key] = _measure_one(bench, key, kind).to_dict()
        except FcnlabError as failure:
            results[key] = {"failure": str(failure)}
    return results


@dataclass(frozen=True, slots=True)
class TimedWork:
    """What is timed: a piece of work on `pixels` pixels of a picture of size `hw`, the rest extrapolated."""

    work: Callable[[], object]
    hw: tuple[int, int]
    pixels: int

    def seconds(self) -> float:
        """The time of one run, on the whole picture."""
        started = time.perf_counter()
        self.work()
        return (time.perf_counter() - started) * (self.hw[0] * self.hw[1] / self.pixels)

    def timing(self, seconds: Sequence[float], *, device: str, is_by_turns: bool = False) -> Timing:
        """The times of several runs, at least one, in short."""
        median = float(np.median(seconds))
        threads = _threads(device)
        return Timing(median, self.hw, self.pixels, threads, min(seconds), max(seconds), len(seconds), is_by_turns)


def network_timing(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> Timing:
    """How long a network takes for a picture (H, W, 3) uint8; of a sliding window, a part of the pixels may do."""
    return _timed(network_work(model, rgb, device=device), device)


def network_work(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> TimedWork:
    """What a network does with a picture (H, W, 3) uint8; it has done it once, to warm up."""
    network = model.network
    if model.calibration is not None:
        full = (rgb.shape[0], rgb.shape[1])
        counting = TimedWork(lambda: network_count(model, rgb, device=device), full, full[0] * full[1])
        counting.work()
        return counting
    hw = seen_hw((rgb.shape[0], rgb.shape[1]), network.spec, model.training)
    if isinstance(network, SlidingWindow) and not isinstance(network, SlidingDense):
        seen = seen_picture(rgb, hw)
        part = TimedWork(lambda: _some_pixels(network, seen, device=device), hw, PIXELS_TRIED)
        part.work()
        if part.seconds() > PATIENCE_S:
            return part
    whole = TimedWork(lambda: network_probabilities(model, rgb, device=device).argmax(axis=0), hw, hw[0] * hw[1])
    whole.work()
    return whole


def timed_by_turns(bench: Bench, results: Mapping[str, Any]) -> dict[str, Any]:
    """The results of all in a comparison with new times: each runs once, then each again, and so on.

    Networks are loaded for each of their runs, so that memory holds one of them. The instant learner is fitted again
    when that takes seconds; else it keeps the times it has, as does one whose network cannot be read any more.

    Args:
        bench: of the comparison.
        results: of those measured, as `record_results` stores them.
    """
    rgb, device = bench.picture(), bench.lab.device
    measured = {key: Measured.from_dict(result) for key, result in results.items() if "timing" in result}
    builders = {
        key: builder
        for key, result in measured.items()
        if (builder := _work_builder(bench, key, result, rgb)) is not None
    }
    runs: dict[str, list[float]] = {key: [] for key in builders}
    works: dict[str, TimedWork] = {}
    for _ in range(RUNS):
        for key, builder in builders.items():
            if len(runs[key]) >= FEW_RUNS and sum(runs[key]) > LONG_S:
                continue
            works[key] = builder()
            runs[key].append(works[key].seconds())
    timings = {
        key: replace(works[key], work=int).timing(seconds, device=device, is_by_turns=True)
        for key, seconds in runs.items()
        if seconds
    }
    return {key: replace(measured[key], timing=timing).to_dict() for key, timing in timings.items()}


def _work_builder(bench: Bench, key: str, measured: Measured, rgb: NDArray[np.uint8]) -> Callable[[], TimedWork] | None:
    """Gives the warmed-up work of one of those compared; None when its times have to stay as they are."""
    lab = bench.lab
    if key in INSTANT_KINDS:
        if measured.seconds > REFIT_S:
            return None
        learner = _instant(bench, INSTANT_KINDS[key])
        return lambda: _instant_work(learner, rgb)
    with reading(lab.sessions) as session:
        trainings = repository_trainings.trainings_of_comparison(session, comparison_id=bench.comparison.id)
    file = next((training.checkpoint_file for training in trainings if key_of(training.id) == key), "")
    path = lab.folders.checkpoints / file
    if not path.is_file():
        return None
    return lambda: network_work(load_network(path, device=lab.device), rgb, device=lab.device)


def _instant(bench: Bench, kind: type[InstantParticipant]) -> InstantParticipant:
    return kind(bench.points, bench.project(), bench.lab, working_side=bench.spec.working_side)


def _instant_work(learner: InstantParticipant, rgb: NDArray[np.uint8]) -> TimedWork:
    hw = (rgb.shape[0], rgb.shape[1])
    work = TimedWork(lambda: learner.mask(rgb), hw, hw[0] * hw[1])
    work.work()
    return work


def _measure_one(bench: Bench, key: str, kind: type[InstantParticipant]) -> Measured:
    started = time.perf_counter()
    learner = _instant(bench, kind)
    seconds = time.perf_counter() - started
    mean_iou, n_masks = bench.mean_iou(learner)
    return Measured(
        score=learner.score(),
        mean_iou=mean_iou,
        n_masks=n_masks,
        by_experts=bench.is_measured_on_experts(),
        timing=_timed(_instant_work(learner, bench.picture()), bench.lab.device),
        parameters=learner.learned() + learner.frozen(),
        learned=learner.learned(),
        n_points=bench.points.n_points(),
        seconds=seconds,
        masks=bench.keep_masks(key, learner),
    )


@torch.inference_mode()
def _some_pixels(network: SlidingWindow, rgb: NDArray[np.uint8], *, device: str) -> None:
    """Scores of PIXELS_TRIED pixels, row by row from the middle of the picture on."""
    tensor = torch.from_numpy(np.array(rgb)).to(device).permute(2, 0, 1)[None].float() / 255
    height, width = rgb.shape[:2]
    pixels = (torch.arange(PIXELS_TRIED, device=device) + height // 2 * width) % (height * width)
    rows, cols = (pixels // width).float(), (pixels % width).float()
    network.logits_at(tensor, torch.zeros_like(pixels), rows, cols)


def _timed(work: TimedWork, device: str) -> Timing:
    """The times of a piece of work that was done once before, run after run."""
    seconds: list[float] = []
    while len(seconds) < RUNS and not (len(seconds) >= FEW_RUNS and sum(seconds) > LONG_S):
        seconds.append(work.seconds())
    return work.timing(seconds, device=device)


def _threads(device: str) -> int:
    return torch.get_num_threads() if device == "cpu" else 0
