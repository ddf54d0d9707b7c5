"""Picture -> stages: a frozen timm encoder at several scales, the CIELAB colour pyramid, and the position."""

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
        self.network = frozen.to(self.device, memory_format=torch.channels_last)
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
            made.append(make_stage(f"colour/{stride}", float(stride), _pooled(lab, stride, self.device), hw))
        if position:
            made.append(
                make_stage("position", float(POSITION_STRIDE), _positions(padded.shape[:2], hw, self.device), hw)
            )
        infos, maps, means, deviations = zip(*made, strict=True)
        return Stages(infos, maps, means, deviations, hw)

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


def _pooled(lab: NDArray[np.float32], stride: int, device: torch.device) -> Tensor:
    """Mean colour (3, h, w) of blocks of `stride` pixels."""
    size = (lab.shape[1] // stride, lab.shape[0] // stride)
    small = lab if stride == 1 else cv2.resize(lab, size, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.ascontiguousarray(small)).to(device).permute(2, 0, 1)


def _positions(padded_hw: tuple[int, ...], hw: tuple[int, int], device: torch.device) -> Tensor:
    """(5, h, w): row, column, their squares and product, in units of half the longer side from the centre."""
    half = max(hw) / 2
    rows = ((torch.arange(padded_hw[0] // POSITION_STRIDE) + 0.5) * POSITION_STRIDE - hw[0] / 2) / half
    cols = ((torch.arange(padded_hw[1] // POSITION_STRIDE) + 0.5) * POSITION_STRIDE - hw[1] / 2) / half
    y, x = torch.meshgrid(rows, cols, indexing="ij")
    return torch.stack([y, x, y * y, x * x, x * y]).to(device)
