"""What is measured of those in a comparison, in the worker: score, mean IoU, time per image, parameters, masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.adapters import repository, repository_comparisons, repository_images
from fcnlab.adapters.database import reading
from fcnlab.adapters.files import write_whole
from fcnlab.adapters.png import mask_png
from fcnlab.comparisons import LARGER, LARGER_FROM, LINEAR, ComparisonSpec, Measured, Timing, key_of, mask_file
from fcnlab.core.counting.looks import counted_mask, network_count
from fcnlab.core.metrics import confusion, iou_per_class
from fcnlab.core.network_model import NetworkModel, network_probabilities, seen_hw, seen_picture
from fcnlab.core.networks.sliding import SlidingDense, SlidingWindow
from fcnlab.domain import IGNORE, ImageInfo, Project
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.runs import Comparison, Training
from fcnlab.services.counting_points import CountingPoints
from fcnlab.services.expert_masks import expert_truth, images_with_truth
from fcnlab.services.importing import read_picture
from fcnlab.services.instant import InstantParticipant, Larger, Linear
from fcnlab.services.masks import kept_mask
from fcnlab.services.networks import NetworkPredictor, load_network
from fcnlab.services.training_points import TrainingPoints

SHOWN_SIDE = 480
"""Longer side of the masks kept to look at."""

MASKS_AT_MOST = 40
"""Full masks that the mean IoU is taken on."""

REPEATS = 3
PATIENCE_S = 4.0
"""A picture that would take longer is computed in part, and its time extrapolated."""

PIXELS_TRIED = 1024


class Segments(Protocol):
    """Whoever gives a mask (H, W) uint8 of class ids for a picture (H, W, 3) uint8."""

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
        kind = CountingPoints if self.spec.counts else TrainingPoints
        self.points = kind(
            lab,
            comparison.project_id,
            self.spec.training_specs()[0],
            image_ids=self.spec.image_ids,
            plan=self.spec.plan(),
            as_of=self.spec.moment(),
        )

    def project(self) -> Project:
        """The project, with the settings of its learner."""
        with reading(self.lab.sessions) as session:
            return repository.project(session, project_id=self.comparison.project_id)

    def mean_iou(self, one: Segments) -> tuple[float | None, int]:
        """Mean IoU over the classes, on the true masks of held-out images, and how many of those there are."""
        places = np.full(256, IGNORE, np.uint8)
        for place, (class_id, _) in enumerate(self.points.classes):
            places[class_id] = place
        n_classes = len(self.points.classes)
        counts, n_masks = np.zeros((n_classes, n_classes), np.int64), 0
        for image, truth in islice(self._truths(), MASKS_AT_MOST):
            found = places[one.mask(read_picture(self.lab, image))]
            counts += confusion(places[truth], found, n_classes)
            n_masks += 1
        return (float(np.nanmean(iou_per_class(counts))), n_masks) if n_masks else (None, 0)

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

    def keep_masks(self, key: str, one: Segments) -> dict[int, str]:
        """Write the masks that the page shows; their files by image id."""
        files = {}
        for image in self._images(self.spec.shown_ids):
            mask = one.mask(read_picture(self.lab, image))
            factor = min(1.0, SHOWN_SIDE / max(mask.shape))
            height, width = (max(1, round(side * factor)) for side in mask.shape)
            small = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
            files[image.id] = mask_file(self.comparison.id, key, image.id)
            write_whole(self.lab.folders.comparisons / files[image.id], mask_png(small))
        return files

    def picture(self) -> NDArray[np.uint8]:
        """The picture whose time is taken, at the size all look at it."""
        hw = self.points.usual_hw()
        image = next(one for one in self._images(self.spec.image_ids) if one.hw == hw)
        factor = min(1.0, self.spec.working_side / max(hw))
        height, width = (max(1, round(side * factor)) for side in hw)
        return seen_picture(read_picture(self.lab, image), (height, width))

    def _images(self, image_ids: tuple[int, ...]) -> list[ImageInfo]:
        with reading(self.lab.sessions) as session:
            found = repository_images.images_by_ids(session, image_ids=list(image_ids))
        by_id = {one.id: one for one in found}
        return [by_id[one] for one in image_ids if one in by_id]


def bench_of(lab: Lab, *, comparison_id: int) -> Bench:
    """The bench of a comparison. Raises UnknownComparison."""
    with reading(lab.sessions) as session:
        return Bench(lab, repository_comparisons.comparison(session, comparison_id=comparison_id))


def measure_network(lab: Lab, training: Training, checkpoint: Path) -> dict[str, Any]:
    """Results of a network that a training of a comparison left in `checkpoint`: key -> plain values."""
    assert training.comparison_id is not None
    bench = bench_of(lab, comparison_id=training.comparison_id)
    key, model = key_of(training.id), load_network(checkpoint, device=lab.device)
    if bench.spec.counts:
        predictor: Segments = CountedMasks(model, lab.device)
        mean_iou, n_masks = None, 0
    else:
        predictor = NetworkPredictor(_quick(model, lab.device), device=lab.device)
        mean_iou, n_masks = bench.mean_iou(predictor)
    n_parameters = sum(one.numel() for one in model.network.parameters())
    of_encoder = sum(one.numel() for one in model.network.encoder_parameters())
    measured = Measured(
        score=model.score,
        mean_iou=mean_iou,
        n_masks=n_masks,
        by_experts=not bench.spec.counts and bench.is_measured_on_experts(),
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
    kinds: dict[str, type[InstantParticipant]] = {LINEAR: Linear}
    if bench.points.n_points() >= LARGER_FROM:
        kinds[LARGER] = Larger
    results: dict[str, Any] = {}
    for key, kind in kinds.items():
        try:
            results[key] = _measure_one(bench, key, kind).to_dict()
        except FcnlabError as failure:
            results[key] = {"failure": str(failure)}
    return results


def network_timing(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> Timing:
    """How long a network takes for a picture (H, W, 3) uint8; of a sliding window, a part of the pixels may do."""
    network = model.network
    if model.calibration is not None:
        full = (rgb.shape[0], rgb.shape[1])
        return Timing(
            _seconds(lambda: network_count(model, rgb, device=device)), full, full[0] * full[1], _threads(device)
        )
    hw = seen_hw((rgb.shape[0], rgb.shape[1]), network.spec, model.training)
    if isinstance(network, SlidingWindow) and not isinstance(network, SlidingDense):
        seconds = _seconds(lambda: _some_pixels(network, seen_picture(rgb, hw), device=device), repeats=1)
        whole = seconds * hw[0] * hw[1] / PIXELS_TRIED
        if whole > PATIENCE_S:
            return Timing(whole, hw, PIXELS_TRIED, _threads(device))
    seconds = _seconds(lambda: network_probabilities(model, rgb, device=device).argmax(axis=0))
    return Timing(seconds, hw, hw[0] * hw[1], _threads(device))


def _measure_one(bench: Bench, key: str, kind: type[InstantParticipant]) -> Measured:
    project, started = bench.project(), time.perf_counter()
    one = kind(bench.points, project, bench.lab, working_side=bench.spec.working_side)
    seconds = time.perf_counter() - started
    mean_iou, n_masks = bench.mean_iou(one)
    rgb = bench.picture()
    hw = (rgb.shape[0], rgb.shape[1])
    timing = Timing(_seconds(lambda: one.mask(rgb)), hw, hw[0] * hw[1], _threads(bench.lab.device))
    return Measured(
        score=one.score(),
        mean_iou=mean_iou,
        n_masks=n_masks,
        by_experts=bench.is_measured_on_experts(),
        timing=timing,
        parameters=one.learned() + one.frozen(),
        learned=one.learned(),
        n_points=bench.points.n_points(),
        seconds=seconds,
        masks=bench.keep_masks(key, one),
    )


def _quick(model: NetworkModel, device: str) -> NetworkModel:
    """The same, or for a sliding window its dense twin, which gives the same scores."""
    network = model.network
    if not isinstance(network, SlidingWindow) or isinstance(network, SlidingDense):
        return model
    twin = SlidingDense(network.spec)
    twin.load_state_dict(network.state_dict())
    return replace(model, network=twin.eval().requires_grad_(False).to(device))


@torch.inference_mode()
def _some_pixels(network: SlidingWindow, rgb: NDArray[np.uint8], *, device: str) -> None:
    """Scores of PIXELS_TRIED pixels, row by row from the middle of the picture on."""
    tensor = torch.from_numpy(np.array(rgb)).to(device).permute(2, 0, 1)[None].float() / 255
    height, width = rgb.shape[:2]
    pixels = (torch.arange(PIXELS_TRIED, device=device) + height // 2 * width) % (height * width)
    rows, cols = (pixels // width).float(), (pixels % width).float()
    network.logits_at(tensor, torch.zeros_like(pixels), rows, cols)


def _seconds(work: Callable[[], object], *, repeats: int = REPEATS) -> float:
    """Median time of a piece of work that was done once before."""
    found = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return float(np.median(found[1:]))


def _threads(device: str) -> int:
    return torch.get_num_threads() if device == "cpu" else 0
