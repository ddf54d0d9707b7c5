"""The instant learner's features under a larger head, as one of the family: fitted once, for thousands of points."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import Stages, score_stages
from fcnlab.core.learner.ensemble import (
    GRID,
    HIDDEN,
    MEMBERS,
    EnsembleHead,
    Member,
    ensemble_at,
    ensemble_probabilities,
)
from fcnlab.core.learner.head import Head
from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.domain.network import NetworkSpec

SCALES = (0.5, 1.0, 2.0)
"""Image scales the encoder sees. The third one gains where things are small, and time matters less here."""

NEVER = -20.0
"""Logit of a class that had no points to learn from."""

LEAST = 1e-6


class LargerHead(PointNetwork):
    """A head on the stages of the instant learner (core.encoding): small networks, or a linear one.

    Both are kept, and `is_larger` says which of them speaks. Nothing here learns by steps: see core.head_course. The
    encoder stays as it is, so that its features are those of the label page.
    """

    is_larger: Tensor

    def __init__(self, spec: NetworkSpec, encoder: EncoderParts) -> None:
        super().__init__(spec, mean=encoder.mean, std=encoder.std)
        self.encoder = encoder.module.requires_grad_(False)
        self._strides = encoder.strides
        self._stages: StageEncoder | None = None
        seen = self._fresh_encoder().encode(np.full((64, 64, 3), 128, np.uint8), scales=SCALES, position=True)
        n_features = sum(info.channels for info in seen.infos)
        shapes = {
            "linear": (spec.n_classes, n_features),
            "linear_bias": (spec.n_classes,),
            "inner": (MEMBERS, HIDDEN, n_features),
            "inner_bias": (MEMBERS, HIDDEN),
            "outer": (MEMBERS, spec.n_classes, HIDDEN),
            "outer_bias": (MEMBERS, spec.n_classes),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape), requires_grad=False))
        self.register_buffer("is_larger", torch.tensor(0, dtype=torch.uint8))

    def trained_encoder(self) -> nn.Module:
        """The frozen encoder."""
        return self.encoder

    def encode(self, rgb: NDArray[np.uint8]) -> Stages:
        """Stages of a picture (H, W, 3) uint8."""
        if self._stages is None or self._stages.device != self.mean.device:
            self._stages = self._fresh_encoder()
        return self._stages.encode(rgb, scales=SCALES, position=True)

    def set_linear(self, head: Head) -> None:
        """Take over the weights of a linear head whose class ids are indices of scores."""
        indices = list(head.class_ids)
        self._numbers("linear").zero_()[indices] = torch.from_numpy(head.weights).to(self.mean.device)
        self._numbers("linear_bias").fill_(NEVER)[indices] = torch.from_numpy(head.bias).to(self.mean.device)

    def set_larger(self, head: EnsembleHead) -> None:
        """Take over the weights of the members, whose class ids are indices of scores."""
        indices = list(head.class_ids)
        self._numbers("outer").zero_()
        self._numbers("outer_bias").fill_(NEVER)
        for index, member in enumerate(head.members):
            self._numbers("inner")[index] = torch.from_numpy(member.inner)
            self._numbers("inner_bias")[index] = torch.from_numpy(member.inner_bias)
            self._numbers("outer")[index, indices] = torch.from_numpy(member.outer).to(self.mean.device)
            self._numbers("outer_bias")[index, indices] = torch.from_numpy(member.outer_bias).to(self.mean.device)

    def logits_of(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (N, K) float32 at samples (N, D) of the stages, by the head that speaks."""
        if bool(self.is_larger):
            shares = ensemble_at(features, self._members()).mean(axis=0)
            return np.asarray(np.log(np.maximum(shares, LEAST)), np.float32)
        weights, bias = (self._numbers(name).cpu().numpy() for name in ("linear", "linear_bias"))
        return np.asarray(features @ weights.T + bias, np.float32)

    @torch.no_grad()
    def forward(self, rgb: Tensor) -> Tensor:
        """Logits (B, K, H, W), computed on every fourth pixel and interpolated."""
        height, width = rgb.shape[2:]
        logits = []
        for picture in rgb:
            pixels = (picture.permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
            logits.append(torch.from_numpy(self._on_grid(self.encode(np.ascontiguousarray(pixels)))))
        small = torch.stack(logits).to(rgb.device)
        grown = F.interpolate(small, scale_factor=float(GRID), mode="bilinear", align_corners=False)
        return grown[:, :, :height, :width]

    def _on_grid(self, stages: Stages) -> NDArray[np.float32]:
        if bool(self.is_larger):
            shares = ensemble_probabilities(stages, self._members()).mean(axis=0)
            return np.asarray(np.log(np.maximum(shares, LEAST)), np.float32)
        weights, bias = (self._numbers(name).cpu().numpy() for name in ("linear", "linear_bias"))
        return score_stages(stages, weights, bias, grid=GRID)

    def _members(self) -> EnsembleHead:
        names = ("inner", "inner_bias", "outer", "outer_bias")
        arrays = [self._numbers(name).cpu().numpy() for name in names]
        members = tuple(Member(*(array[index] for array in arrays)) for index in range(MEMBERS))
        return EnsembleHead(tuple(range(self.spec.n_classes)), members)

    def _numbers(self, name: str) -> Tensor:
        return self.get_parameter(name).detach()

    def _fresh_encoder(self) -> StageEncoder:
        mean, std = (tuple(float(channel) for channel in value.flatten()) for value in (self.mean, self.std))
        return StageEncoder(self.encoder, strides=self._strides, mean=mean, std=std, device=str(self.mean.device))
