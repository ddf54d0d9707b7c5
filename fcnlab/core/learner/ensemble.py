"""A larger head for thousands of points: a few small networks on the same samples, whose probabilities are averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fcnlab.core.encoding.stages import Stages
from fcnlab.core.learner.head import Samples, missing_message, point_weights
from fcnlab.errors import NoPoints

GRID = 4
"""Stride, in working pixels, at which hidden units are computed; finer stages are averaged onto it."""

HIDDEN = 128
MEMBERS = 2
STEPS = 400
BATCH = 1536
"""Samples drawn for a step, and at most DRAWN_OFTEN times as many as there are."""

DRAWN_OFTEN = 8
RATE = 2e-3
DECAY = 0.1
DROPOUT = 0.5
GAIN = 30.0
"""Samples come divided by the root of their group's channels; times this they are about as large as networks like."""


@dataclass(frozen=True, slots=True)
class Member:
    """One network: ReLU(inner @ features + inner_bias), then outer and outer_bias.

    Attributes:
        inner: (H, D) float32 on standardised features. inner_bias: (H,).
        outer: (K, H) float32. outer_bias: (K,).
    """

    inner: NDArray[np.float32]
    inner_bias: NDArray[np.float32]
    outer: NDArray[np.float32]
    outer_bias: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EnsembleHead:
    """Networks that share nothing but the classes; output k is the probability of `class_ids[k]`."""

    class_ids: tuple[int, ...]
    members: tuple[Member, ...]


def fit_ensemble(
    samples: Samples,
    *,
    class_weight: str = "balanced",
    members: int = MEMBERS,
    hidden: int = HIDDEN,
    steps: int = STEPS,
    seed: int = 0,
) -> EnsembleHead:
    """Train the members, each from its own random start, with the class-balanced point loss, dropout and AdamW.

    Args:
        samples: of one or more images.
        steps: of each member, with up to BATCH samples, drawn as often as they weigh.

    Raises:
        NoPoints: fewer than two classes have points.
    """
    classes = tuple(int(class_id) for class_id in np.unique(samples.class_ids))
    if len(classes) < 2:
        raise NoPoints(missing_message(classes))
    targets = torch.from_numpy(np.searchsorted(np.asarray(classes), samples.class_ids))
    shares = point_weights(samples.class_ids, samples.weights, classes, class_weight) * len(samples.weights)
    features, weights = torch.from_numpy(samples.features), torch.from_numpy(shares.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        trained = []
        for index in range(members):
            torch.manual_seed(1000 * seed + index)
            trained.append(_trained(features, targets, weights, n_classes=len(classes), hidden=hidden, steps=steps))
    return EnsembleHead(classes, tuple(trained))


def _trained(features: Tensor, targets: Tensor, weights: Tensor, *, n_classes: int, hidden: int, steps: int) -> Member:
    inner, outer = nn.Linear(features.shape[1], hidden), nn.Linear(hidden, n_classes)
    parameters = [*inner.parameters(), *outer.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    size = min(BATCH, DRAWN_OFTEN * len(weights))
    for _ in range(steps):
        chosen = torch.multinomial(weights, size, replacement=True)  # rare classes as often as others, each alike
        hidden_units = F.dropout(F.relu(inner(features[chosen] * GAIN)), DROPOUT)
        loss = F.cross_entropy(outer(hidden_units), targets[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    tensors = (inner.weight * GAIN, inner.bias, outer.weight, outer.bias)
    return Member(*(np.ascontiguousarray(tensor.detach().numpy()) for tensor in tensors))


@torch.no_grad()
def ensemble_at(features: NDArray[np.float32], head: EnsembleHead) -> NDArray[np.float32]:
    """Probabilities (M, N, K) float32 of every member at samples (N, D)."""
    table = torch.from_numpy(features)
    probabilities = []
    for member in head.members:
        inner, inner_bias, outer, outer_bias = _tensors(member, table.device)
        probabilities.append(F.softmax(F.relu(table @ inner.T + inner_bias) @ outer.T + outer_bias, dim=1))
    return np.asarray(torch.stack(probabilities).numpy(), np.float32)


@torch.no_grad()
def ensemble_probabilities(stages: Stages, head: EnsembleHead) -> NDArray[np.float32]:
    """Probabilities (M, K, ceil(H / GRID), ceil(W / GRID)) float32 of every member.

    The first layer is linear, so it is applied to each stage at its own stride and the results are brought to one
    grid and added, as in `score_stages`; what comes after happens there.
    """
    device = stages.maps[0].device
    parts = [_tensors(member, device) for member in head.members]
    units = F.relu_(
        _hidden_maps(stages, torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]))
    )
    probabilities, start = [], 0
    for inner, _, outer, outer_bias in parts:
        member_units = units[start : start + len(inner)]
        start += len(inner)
        scores = torch.addmm(outer_bias[:, None], outer, member_units.flatten(1))
        probabilities.append(F.softmax(scores, dim=0).view(-1, *member_units.shape[1:]))
    return np.asarray(torch.stack(probabilities).cpu().numpy(), np.float32)


def _hidden_maps(stages: Stages, inner: Tensor, inner_bias: Tensor) -> Tensor:
    """(H, h, w) of the first layers on the grid, before ReLU."""
    height, width = (-(-side // GRID) for side in stages.hw)
    offset, start = inner_bias.clone(), 0
    per_stride: dict[float, Tensor] = {}
    for info, feature_map, mean, scale in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True):
        block = inner[:, start : start + info.channels] * scale
        start += info.channels
        offset = offset - block @ mean
        stride, features = info.stride, feature_map.float()
        if stride < GRID:
            features, stride = F.avg_pool2d(features[None], round(GRID / stride))[0], float(GRID)
        scores = (block @ features.flatten(1)).view(-1, *features.shape[1:])
        per_stride[stride] = scores if stride not in per_stride else per_stride[stride] + scores
    total = offset[:, None, None].expand(-1, height, width).clone()
    for stride, scores in per_stride.items():
        if stride != GRID:
            scores = F.interpolate(scores[None], scale_factor=stride / GRID, mode="bilinear", align_corners=False)[0]
        total += scores[:, :height, :width]
    return total


def _tensors(member: Member, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    arrays = (member.inner, member.inner_bias, member.outer, member.outer_bias)
    first, second, third, fourth = (torch.from_numpy(array).to(device) for array in arrays)
    return first, second, third, fourth
