"""Picture -> stages: a frozen timm encoder at several scales, colour and shapes at several strides, the position."""

from __future__ import annotations

import copy
import math
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fcnlab.core.stages import Stages, make_stage

COLOUR_STRIDES = (1, 2, 4, 8)
POSITION_STRIDE = 8
POSITION_WEIGHT = 0.4
"""At full weight the first clicks gain as much, and images nobody clicked lose."""

SHAPE_WEIGHT = 0.5
"""Louder helps cracks and membranes, and hurts where colour decides."""

SHAPE_SIGMA = 1.0
"""Smoothing, in pixels of each stride, before lightness is differentiated."""


class StageEncoder:
    """A trained network, frozen, and the way a picture goes through it."""

    def __init__(
        self,
        network: nn.Module,
        *,
        strides: tuple[int, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        frozen = without_batch_norm(network.eval()).requires_grad_(False)
        self.network = frozen.to(self.device).to(memory_format=torch.channels_last)
        self.mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=self.device).view(1, 3, 1, 1)
        self.strides = strides

    def encode(self, rgb: NDArray[np.uint8], *, scales: tuple[float, ...], position: bool) -> Stages:
        """Stages of a working picture.

        Args:
            rgb: (H, W, 3) uint8, the working picture.
            scales: image scales at which the network runs.
            position: add a stage that says where a pixel is.
        """
        hw = (rgb.shape[0], rgb.shape[1])
        step = padding_step(scales)
        padded = _pad(rgb, step)
        tensor = torch.from_numpy(padded).to(self.device).permute(2, 0, 1)[None].float() / 255
        made = []
        for scale in scales:
            for stride, features in self._features(tensor, scale):
                made.append(make_stage(f"encoder@{scale:g}/{stride}", stride / scale, features, hw))
        lab = lab_image(padded)
        for stride in COLOUR_STRIDES:
            small = _pooled(lab, stride)
            made.append(make_stage(f"colour/{stride}", float(stride), self._tensor(small), hw))
            shapes = self._tensor(_shapes(small[..., 0]))
            made.append(make_stage(f"shape/{stride}", float(stride), shapes, hw, weight=SHAPE_WEIGHT))
        if position:
            places = _positions(padded.shape[:2], hw, self.device)
            made.append(make_stage("position", float(POSITION_STRIDE), places, hw, weight=POSITION_WEIGHT))
        infos, maps, means, deviations = zip(*made, strict=True)
        return Stages(infos, maps, means, deviations, hw)

    def _tensor(self, channels_last: NDArray[np.float32]) -> Tensor:
        """(h, w, C) array -> (C, h, w) tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(channels_last.transpose(2, 0, 1))).to(self.device)

    @torch.no_grad()
    def _features(self, tensor: Tensor, scale: float) -> list[tuple[int, Tensor]]:
        """(stride, map) of the network at one scale of the padded picture (1, 3, H, W) in 0..1."""
        if scale != 1:
            size = (round(tensor.shape[2] * scale), round(tensor.shape[3] * scale))
            tensor = F.interpolate(tensor, size=size, mode="bilinear", antialias=scale < 1, align_corners=False)
        tensor = ((tensor - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            features = self.network(tensor)
        return [(stride, one[0].float()) for stride, one in zip(self.strides, features, strict=True)]


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


def padding_step(scales: tuple[float, ...]) -> int:
    """Smallest side whose every scaled version is a multiple of 32, so that all grids line up."""
    steps = [Fraction(32) / Fraction(scale).limit_denominator(8) for scale in (1.0, *scales)]
    return math.lcm(*(step.numerator for step in steps))


def lab_image(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """CIELAB of an RGB picture (H, W, 3): L in 0..100, a and b about -100..100."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float32)


def _pad(rgb: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Repeat the last rows and columns until both sides are multiples of `step`."""
    height, width = rgb.shape[:2]
    return np.pad(rgb, ((0, -height % step), (0, -width % step), (0, 0)), mode="edge")


def _pooled(lab: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Mean colour (h, w, 3) of blocks of `stride` pixels."""
    size = (lab.shape[1] // stride, lab.shape[0] // stride)
    return lab if stride == 1 else np.asarray(cv2.resize(lab, size, interpolation=cv2.INTER_AREA), np.float32)


def _shapes(lightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w, 4) of a lightness map (h, w): slope, and how strongly it bends across and along a line; local contrast.

    The bends are the eigenvalues of the second derivatives, as in ridge filters (Frangi et al. 1998).
    """
    smooth = cv2.GaussianBlur(lightness, (0, 0), SHAPE_SIGMA, borderType=cv2.BORDER_REFLECT)

    def derived(down: int, across: int) -> NDArray[np.float32]:
        second = cv2.Sobel(smooth, cv2.CV_32F, across, down, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        return np.asarray(second, np.float32)

    slope = np.hypot(derived(0, 1), derived(1, 0))
    across, along, mixed = derived(0, 2), derived(2, 0), derived(1, 1)
    half, turn = (across + along) / 2, np.hypot((across - along) / 2, mixed)
    contrast = np.sqrt(cv2.GaussianBlur((lightness - smooth) ** 2, (0, 0), 2 * SHAPE_SIGMA))
    return np.stack([slope, half + turn, half - turn, contrast], axis=2)


def _positions(padded_hw: tuple[int, ...], hw: tuple[int, int], device: torch.device) -> Tensor:
    """(5, h, w): row, column, their squares and product, in units of half the longer side from the centre."""
    half = max(hw) / 2
    rows = ((torch.arange(padded_hw[0] // POSITION_STRIDE) + 0.5) * POSITION_STRIDE - hw[0] / 2) / half
    cols = ((torch.arange(padded_hw[1] // POSITION_STRIDE) + 0.5) * POSITION_STRIDE - hw[1] / 2) / half
    y, x = torch.meshgrid(rows, cols, indexing="ij")
    return torch.stack([y, x, y * y, x * x, x * y]).to(device)
