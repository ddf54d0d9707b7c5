"""Picture -> stages: a frozen timm encoder at several scales, colour and shapes at several strides, the position."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fcnlab.core.encoding.onnx_network import in_onnxruntime
from fcnlab.core.encoding.stages import RawMap, StageInfo, Stages, measure
from fcnlab.core.tiling.tiles import Box, rounded_up, seen_margin

COLOUR_STRIDES = (1, 2, 4, 8)
POSITION_STRIDE = 8
POSITION_WEIGHT = 0.4
"""At full weight the first clicks gain as much, and images nobody clicked lose."""

SHAPE_WEIGHT = 0.5
"""Louder helps cracks and membranes, and hurts where colour decides."""

SHAPE_SIGMA = 1.0
"""Smoothing, in pixels of each stride, before lightness is differentiated."""

SHAPES_SEEN = 16
"""So many pixels of a stride around it decide the shapes of a pixel."""


class TrainedNetwork(Protocol):
    """A features-only network and the normalisation its input wants (RGB in 0..1, minus mean, over std)."""

    @property
    def network(self) -> nn.Module:
        """Gives feature maps, the finest first."""

    @property
    def strides(self) -> tuple[int, ...]:
        """Of its maps, in pixels."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel, 0 to 1."""

    @property
    def std(self) -> tuple[float, ...]:
        """Of each channel."""


class StageEncoder:
    """A trained network, frozen, and the way a picture goes through it: on a processor in onnxruntime, else in torch.

    `between` is called while the network runs, in torch before every convolution, and by `give_way`: whoever has
    something more urgent to do does it there. A picture encoded there waits until the network is free.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        strides: tuple[int, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: str = "cpu",
        between: Callable[[], None] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())
        self._between = None if between is None else torch.inference_mode(False)(torch.enable_grad()(between))
        self._network = self._runner(network.eval())
        self.mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=self.device).view(1, 3, 1, 1)
        self.strides = strides

    @classmethod
    def of(
        cls, trained: TrainedNetwork, *, device: str = "cpu", between: Callable[[], None] | None = None
    ) -> StageEncoder:
        """The encoder of a network that brings its strides and the normalisation of its input."""
        return cls(
            trained.network,
            strides=trained.strides,
            mean=trained.mean,
            std=trained.std,
            device=device,
            between=between,
        )

    def give_way(self) -> None:
        """Let whoever has something more urgent to do, do it now."""
        if self._between is not None:
            self._between()

    def _runner(self, network: nn.Module) -> Callable[[Tensor], Sequence[Tensor]]:
        runner = in_onnxruntime(network, between=self._between) if self.device.type == "cpu" else None
        if runner is not None:
            return runner
        frozen = without_batch_norm(network).requires_grad_(False)
        if self._between is not None:
            _call_before_convolutions(frozen, self._between)
        on_device: nn.Module = frozen.to(self.device).to(memory_format=torch.channels_last)
        return lambda picture: on_device(picture.contiguous(memory_format=torch.channels_last))

    def encode(self, rgb: NDArray[np.uint8], *, scales: tuple[float, ...], position: bool) -> Stages:
        """Stages of a working picture, in one piece.

        Args:
            rgb: (H, W, 3) uint8, the working picture.
            scales: image scales at which the network runs.
            position: add a stage that says where a pixel is.
        """
        hw = (rgb.shape[0], rgb.shape[1])
        padded_hw = rounded_up(hw, padding_step(scales))
        whole = Box(0, 0, *padded_hw)
        made = [
            *self.deep_maps(rgb, whole, scales=scales),
            *self.shallow_maps(rgb, whole, padded_hw=padded_hw),
            *self.place_maps(hw, whole, position=position),
        ]
        measured = [measure(raw, hw) for raw in made]
        return Stages(
            tuple(raw.info for raw in made),
            tuple(raw.map for raw in made),
            tuple(mean for mean, _ in measured),
            tuple(scale for _, scale in measured),
            hw,
        )

    def deep_maps(self, rgb: NDArray[np.uint8], box: Box, *, scales: tuple[float, ...]) -> list[RawMap]:
        """Feature maps of the network in a box of the padded picture, computed with the margin that they need.

        Args:
            rgb: (H, W, 3) uint8, the whole working picture.
            box: its sides are multiples of `padding_step(scales)`.
            scales: image scales at which the network runs.
        """
        step = padding_step(scales)
        padded_hw = rounded_up((rgb.shape[0], rgb.shape[1]), step)
        maps = []
        for scale in scales:
            seen = box.grown(seen_margin(scale, step), padded_hw)
            inner = box.moved(-seen.top, -seen.left)
            for stride, features in self._features(self._normalised(_padded(rgb, seen)), scale):
                rows, cols = inner.scaled(scale / stride).slices
                maps.append(features[:, rows, cols].to(torch.float16).contiguous())
        return [
            RawMap(info, 1.0, feature_map)
            for info, feature_map in zip(self.deep_infos(maps, scales), maps, strict=True)
        ]

    def deep_infos(self, maps: Sequence[Tensor], scales: tuple[float, ...]) -> list[StageInfo]:
        """The StageInfo of each map that `deep_maps` makes at these scales."""
        names = [(scale, stride) for scale in scales for stride in self.strides]
        return [
            StageInfo(f"encoder@{scale:g}/{stride}", stride / scale, len(features))
            for (scale, stride), features in zip(names, maps, strict=True)
        ]

    def shallow_maps(self, rgb: NDArray[np.uint8], box: Box, *, padded_hw: tuple[int, int]) -> list[RawMap]:
        """Colours and shapes in a box of the padded picture; see `deep_maps`."""
        seen = box.grown(SHAPES_SEEN * max(COLOUR_STRIDES), padded_hw)
        inner = box.moved(-seen.top, -seen.left)
        lab = lab_image(_padded(rgb, seen))
        made = []
        for stride in COLOUR_STRIDES:
            small = _pooled(lab, stride)
            rows, cols = inner.scaled(1 / stride).slices
            kinds = (("colour", cv2.split(small), 1.0), ("shape", _shapes(small[..., 0]), SHAPE_WEIGHT))
            for name, channels, weight in kinds:
                features = np.stack([channel[rows, cols].astype(np.float16) for channel in channels])
                info = StageInfo(f"{name}/{stride}", float(stride), len(features))
                made.append(RawMap(info, weight, torch.from_numpy(features).to(self.device)))
        return made

    def place_maps(self, hw: tuple[int, int], box: Box, *, position: bool) -> list[RawMap]:
        """Maps of row and column in a box of a padded picture of size `hw`; an empty list unless `position`."""
        if not position:
            return []
        positions = _positions(box, hw, self.device)
        info = StageInfo("position", float(POSITION_STRIDE), len(positions))
        return [RawMap(info, POSITION_WEIGHT, positions.to(torch.float16))]

    def _normalised(self, rgb: NDArray[np.uint8]) -> Tensor:
        """(1, 3, H, W) float32 on the device, as the network wants it."""
        levels = torch.from_numpy(rgb).to(self.device).permute(2, 0, 1)[None]
        tensor = levels.to(torch.float32, memory_format=torch.contiguous_format)
        return tensor.div_(255).sub_(self.mean).div_(self.std)

    @torch.no_grad()
    def _features(self, tensor: Tensor, scale: float) -> list[tuple[int, Tensor]]:
        """(stride, map) of the network at one scale of the normalised picture (1, 3, H, W)."""
        if scale != 1:
            size = (round(tensor.shape[2] * scale), round(tensor.shape[3] * scale))
            tensor = F.interpolate(tensor, size=size, mode="bilinear", antialias=scale < 1, align_corners=False)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            features = self._network(tensor)
        return [(stride, feature_map[0].float()) for stride, feature_map in zip(self.strides, features, strict=True)]


@torch.no_grad()  # not inference mode: its weights could not be used elsewhere
def without_batch_norm(network: nn.Module) -> nn.Module:
    """A copy with every batch normalisation folded into the convolution before it: a quarter faster.

    Which convolution comes before is read off the order of the layers; a network whose outputs would change (it
    calls its layers in another order) is returned as it is.
    """
    folded = copy.deepcopy(network)
    for parent in list(folded.modules()):
        layers = list(parent.named_children())
        for (name, layer), (next_name, following) in pairwise(layers):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                if layer.out_channels != following.num_features:
                    return network
                setattr(parent, name, fuse_conv_bn_eval(layer, following))
                setattr(parent, next_name, getattr(following, "act", nn.Identity()))  # timm's norms may activate
    probe = torch.linspace(-1, 1, 3 * 64 * 96).view(1, 3, 64, 96).to(next(network.parameters()).device)
    for ours, theirs in zip(folded(probe), network(probe), strict=True):
        if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max())):
            return network
    return folded


def _call_before_convolutions(network: nn.Module, between: Callable[[], None]) -> None:
    def call(*_: object) -> None:
        between()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(call)


def padding_step(scales: tuple[float, ...]) -> int:
    """Smallest side whose every scaled version is a multiple of 32, so that all grids line up."""
    steps = [Fraction(32) / Fraction(scale).limit_denominator(8) for scale in (1.0, *scales)]
    return math.lcm(*(step.numerator for step in steps))


def lab_image(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """CIELAB of an RGB picture (H, W, 3): L in 0..100, a and b about -100..100."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float32)


def _padded(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """A box of a picture whose last rows and columns are repeated beyond its end."""
    height, width = rgb.shape[:2]
    rows, cols = box.clipped((height, width)).slices
    beyond = (max(0, box.bottom - max(height, box.top)), max(0, box.right - max(width, box.left)))
    if not any(beyond):
        return np.ascontiguousarray(rgb[rows, cols])
    return np.pad(rgb[rows, cols], ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")


def _pooled(lab: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Mean colour (h, w, 3) of blocks of `stride` pixels."""
    size = (lab.shape[1] // stride, lab.shape[0] // stride)
    return lab if stride == 1 else np.asarray(cv2.resize(lab, size, interpolation=cv2.INTER_AREA), np.float32)


def _shapes(lightness: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Four (h, w) of a lightness map (h, w): slope, and how strongly it bends across and along a line; local contrast.

    The bends are the eigenvalues of the second derivatives, as in ridge filters (Frangi et al. 1998).
    """
    smooth = cv2.GaussianBlur(lightness, (0, 0), SHAPE_SIGMA, borderType=cv2.BORDER_REFLECT)

    def derived(down: int, across: int) -> NDArray[np.float32]:
        second = cv2.Sobel(smooth, cv2.CV_32F, across, down, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        return np.asarray(second, np.float32)

    slope = cv2.magnitude(derived(0, 1), derived(1, 0))
    across, along, mixed = derived(0, 2), derived(2, 0), derived(1, 1)
    half, turn = (across + along) / 2, cv2.magnitude((across - along) / 2, mixed)
    local_contrast = np.sqrt(cv2.GaussianBlur((lightness - smooth) ** 2, (0, 0), 2 * SHAPE_SIGMA))
    return [np.asarray(part, np.float32) for part in (slope, half + turn, half - turn, local_contrast)]


def _positions(box: Box, hw: tuple[int, int], device: torch.device) -> Tensor:
    """(5, h, w): row, column, their squares and product, in units of half the longer side from the centre."""
    half = max(hw) / 2

    def along(start: int, stop: int, side: int) -> Tensor:
        cells = torch.arange(start // POSITION_STRIDE, stop // POSITION_STRIDE)
        return ((cells + 0.5) * POSITION_STRIDE - side / 2) / half

    y, x = torch.meshgrid(along(box.top, box.bottom, hw[0]), along(box.left, box.right, hw[1]), indexing="ij")
    return torch.stack([y, x, y * y, x * x, x * y]).to(device)
